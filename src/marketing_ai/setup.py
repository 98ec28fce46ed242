"""Set-up of a fresh clone: checks Java, fetches the Delta jars, writes profiles.yml."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from marketing_ai.lake import jars
from marketing_ai.paths import Paths

MINIMUM_JAVA = 17


class SetupError(RuntimeError):
    """The machine lacks something; the message says what to install."""


def java_version() -> int:
    """Return the major version of the Java that Spark would start.

    Raises:
        SetupError: there is none, or it is older than 17.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    install = (
        f"Install Java {MINIMUM_JAVA} or newer (Debian: openjdk-17-jre-headless, macOS: "
        "temurin@17) and put it on the PATH, or point JAVA_HOME to it."
    )
    if not java or not os.access(java, os.X_OK):
        raise SetupError(f"Java was not found{f' at {java}' if java else ''}. {install}")
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', done.stderr + done.stdout)
    if not found or int(found[1]) < MINIMUM_JAVA:
        what = f"Java {found[1]}" if found else "a Java that doesn't tell its version"
        raise SetupError(f"{java} is {what}. {install}")
    return int(found[1])


def set_up(paths: Paths) -> list[str]:
    """Prepare a clone for dbt; a second call finds everything done.

    Returns:
        One line for each thing that is in place.

    Raises:
        SetupError: Java is missing or too old.
        marketing_ai.lake.jars.JarError: the jars could not be fetched or are not the pinned ones.
    """
    done = [f"Java {java_version()}"]
    jars.fetch(paths.cache, paths.root, paths.logs / "setup.log")
    done.append(f"Delta jars ({jars.COORDINATES}) match {jars.MANIFEST}")
    profile = paths.root / "profiles.yml"
    if not profile.exists():
        shutil.copyfile(paths.root / "profiles.yml.example", profile)
    done.append(f"{profile.name} in place")
    return done
