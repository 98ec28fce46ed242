"""Makes ``odd`` importable; the Spark session is the one of tests/python/conftest.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
