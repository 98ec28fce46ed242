"""Load and KPI layer at 100 k, 1 M and 10 M rows, against two scripts, in one run.

    python -m benchmarks.scale [--rows 100000 1000000 10000000] [--keep FOLDER]

Files are simulated (5,000 series a day, in the order of days, as exports come). Each contender
starts cold on an empty lake. Then one more day is loaded on top of the two largest histories and
built with every test: its cost must not grow with the history. Read the ratios; the seconds are
this machine's.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import measure
from marketing_ai.simulate import SimulationConfig, simulate_pieces

SERIES = 5_000
LAST_DAY = date(2026, 6, 30)
BIN = Path(sys.executable).parent
KPI_LAYER = (
    "+marketing_kpi_campaign +marketing_kpi_channel +marketing_kpi_channel_daily +marketing_loads"
)


def generate(folder: Path, rows: int) -> tuple[Path, Path]:
    """Write `rows` rows and one more day of the same campaigns; return both files."""
    series = min(SERIES, rows // 20)
    days = rows // series
    history, day = folder / f"{rows}.csv", folder / f"{rows}_day.csv"
    config = SimulationConfig(
        campaigns=series, days=days + 1, start=LAST_DAY - timedelta(days=days), seed=rows
    )
    parts = folder / "parts"
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir()
    connection = duckdb.connect()
    for number, piece in enumerate(simulate_pieces(config)):
        connection.register("piece", piece.frame)
        connection.execute(f"copy piece to '{parts}/{number}.parquet' (format parquet)")
        connection.unregister("piece")
    for file, condition in ((history, "<"), (day, "=")):
        connection.execute(
            f"""
            copy (
                select * replace (date::date as date) from read_parquet('{parts}/*.parquet')
                where date::date {condition} '{LAST_DAY}'
                order by date, campaign_id, segment
            ) to '{file}' (format csv, header true)
            """
        )
    shutil.rmtree(parts)
    return history, day


def compare(console: Console, file: Path, rows: int, scratch: Path) -> Path:
    """Measure the three contenders on one file; returns our lake."""
    python = sys.executable
    ours, duck, spark = (scratch / f"{name}_{rows}" for name in ("ours", "duckdb", "pyspark"))
    for folder in (ours, duck, spark):
        folder.mkdir()
    build = [
        *(str(BIN / "dbt"), "build", "--quiet", "--vars", "marketing_data: own"),
        *("--exclude", "resource_type:test", "resource_type:unit_test", "--select"),
    ]
    runs = {
        "DuckDB script: load": (
            [python, "-m", "benchmarks.duckdb_script", "load", str(file), str(duck)],
            duck,
        ),
        "DuckDB script: KPI tables": (
            [python, "-m", "benchmarks.duckdb_script", "build", str(duck)],
            duck,
        ),
        "PySpark script: everything": (
            [python, "-m", "benchmarks.plain_kpi", str(file), str(spark)],
            spark,
        ),
        "marketing load": (
            [str(BIN / "marketing"), "load", str(file), "--source", "bench"],
            ours,
        ),
        "dbt, KPI tables": ([*build, *KPI_LAYER.split()], ours),
        "the same again, with every test": (
            [str(BIN / "marketing"), "build", "--full-refresh", "--select", KPI_LAYER],
            ours,
        ),
    }
    table = Table(title=f"{rows:,} rows, {file.stat().st_size / 1e6:,.0f} MB", title_justify="left")
    table.add_column("step")
    for heading in ("seconds", "peak GB"):
        table.add_column(heading, justify="right")
    took: dict[str, float] = {}
    for name, (command, folder) in runs.items():
        with console.status(name):
            seconds, memory = measure(command, folder)
        took[name] = seconds
        table.add_row(name, f"{seconds:.1f}", f"{memory:.1f}")
    console.print(table)
    load, script = took["marketing load"], took["DuckDB script: load"]
    path = load + took["dbt, KPI tables"]
    console.print(f"load / load of the DuckDB script: {load / script:.2f}")
    console.print(
        f"load + KPI tables / PySpark script: {path / took['PySpark script: everything']:.2f}"
    )
    whole = script + took["DuckDB script: KPI tables"]
    console.print(f"load + KPI tables / whole DuckDB script: {path / whole:.2f}\n")
    for folder in (duck, spark):
        shutil.rmtree(folder)
    return ours


def one_more_day(console: Console, day: Path, lake: Path, load_no: int = 2) -> float:
    """Load one day on top of a lake and build it with its tests; returns seconds.

    The tests read what `marketing build` would tell them to after a publication: the new load and
    its month. There is none here, since it would take the forecast too.
    """
    tested = {
        "MARKETING_CHANGED_MONTHS": f"{LAST_DAY:%Y-%m}-01",
        "MARKETING_TESTED_FROM_LOAD": str(load_no),
    }
    load, _ = measure([str(BIN / "marketing"), "load", str(day), "--source", "bench"], lake)
    command = [str(BIN / "dbt"), "build", "--quiet", "--vars", "marketing_data: own", "--select"]
    build, memory = measure([*command, *KPI_LAYER.split()], lake, tested)
    console.print(
        f"one more day on {lake.name.removeprefix('ours_')} rows: load {load:.1f} s, "
        f"build with tests {build:.1f} s, peak {memory:.1f} GB"
    )
    return load + build


def main() -> None:
    """Measure every size and print tables and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    sizes = sorted(parser.parse_args().rows)
    console = Console(width=100, highlight=False)
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        days = {}
        for rows in sizes:
            with console.status(f"simulating {rows:,} rows …"):
                history, day = generate(scratch, rows)
            lake = compare(console, history, rows, scratch)
            history.unlink()
            days[rows] = one_more_day(console, day, lake)
        if len(sizes) > 1:
            small, large = sizes[-2:]
            console.print(
                f"one more day, {large:,} rows against {small:,}: {days[large] / days[small]:.2f}"
            )


if __name__ == "__main__":
    main()
