"""How a Spark session is set up follows from the master and the size of the lake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from marketing_ai.lake.session import LARGE_BYTES, is_large, session_settings
from marketing_ai.paths import find_paths

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.delenv("MARKETING_SPARK_SIZE", raising=False)
    return replace(find_paths(ROOT), lake=tmp_path, schema="sized")


def add_rows(paths, size: int) -> None:
    """A file of that size, sparse, where loaded rows are."""
    folder = paths.lake / "sized.db" / "raw_marketing_delivery" / "part=1"
    folder.mkdir(parents=True)
    with (folder / "rows.parquet").open("wb") as handle:
        handle.truncate(size)


def test_a_small_lake_starts_fast(paths):
    add_rows(paths, LARGE_BYTES)
    conf = session_settings(paths)
    assert "-XX:TieredStopAtLevel=1" in conf["spark.driver.extraJavaOptions"]
    assert conf["spark.sql.shuffle.partitions"] == "2"
    assert "spark.jars" not in conf


def test_a_large_lake_computes_fast(paths):
    add_rows(paths, LARGE_BYTES + 1)
    conf = session_settings(paths)
    assert "TieredStopAtLevel" not in conf["spark.driver.extraJavaOptions"]
    assert conf["spark.sql.shuffle.partitions"] == "16"


def test_rows_that_were_built_do_not_make_the_next_day_large(paths):
    add_rows(paths, LARGE_BYTES + 1)
    log = paths.lake / "sized.db" / "marketing_loads" / "_delta_log"
    log.mkdir(parents=True)
    (log / "0.json").touch()
    assert not is_large(paths)
    assert is_large(paths, everything=True)


def test_the_size_can_be_said(paths, monkeypatch):
    monkeypatch.setenv("MARKETING_SPARK_SIZE", "large")
    assert is_large(paths)
    add_rows(paths, LARGE_BYTES + 1)
    monkeypatch.setenv("MARKETING_SPARK_SIZE", "small")
    assert not is_large(paths)


def test_a_cluster_gets_jars_and_no_options_of_this_machine(paths):
    conf = session_settings(paths, {"spark.master": "spark://127.0.0.1:7077"})
    sent = conf["spark.jars"].split(",")
    assert any(jar.startswith("file:///") and "delta-spark" in jar for jar in sent)
    assert len(sent) == len(conf["spark.driver.extraClassPath"].split(":"))
    assert not any(key.startswith("spark.executor") for key in conf)
    assert conf["spark.sql.shuffle.partitions"] == "16"


def test_the_profile_wins(paths):
    conf = session_settings(paths, {"spark.sql.shuffle.partitions": "5"})
    assert conf["spark.sql.shuffle.partitions"] == "5"
