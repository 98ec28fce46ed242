"""Pictures come from tables, and a missing table costs one picture, not all."""

from __future__ import annotations

from pathlib import Path

import odd
import pandas as pd

from marketing_ai.ml import pictures, revenue, segments
from marketing_ai.ml.settings import ForecastSettings, SegmentSettings


def test_every_picture_is_drawn_twice_alike(tmp_path: Path) -> None:
    frame = odd.rows(campaigns=24, days=120)
    tables = {"marketing_kpi": frame}
    snapshot = odd.snapshot(frame)
    made = [
        revenue.forecast_tables(None, snapshot, ForecastSettings()),
        segments.segment_tables(None, snapshot, SegmentSettings(resamples=5)),
    ]
    for part in made:
        for name, rows in part.groupby("output"):
            tables.setdefault(str(name), rows.infer_objects())

    def read(table: str) -> pd.DataFrame:
        return tables[table]

    first = pictures.draw(read, tmp_path / "a")
    assert [path.stem for path in first] == list(pictures.PICTURES)
    second = pictures.draw(read, tmp_path / "b")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    del tables["campaign_segments"]
    assert len(pictures.draw(read, tmp_path / "c")) == len(first) - 1
