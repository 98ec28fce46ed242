"""dbt against a hand-written script: wall time and memory of cold processes, in one run.

    python -m benchmarks.build_ratio [--rounds 3]

Each contender starts from nothing (its own empty lake, no parse cache) and writes the same tables
of the demo. Printed are medians and ratios to the hand-written script; read the ratios, since the
seconds are this machine's. The last lines name where the time of the build goes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import measure

DBT = [str(Path(sys.executable).parent / "dbt")]
PLAIN = [sys.executable, "-m", "benchmarks.plain_pyspark"]
NO_TESTS = [
    *("--exclude", "resource_type:test", "resource_type:unit_test"),
    *("--vars", "publish_untested: true"),
]
REFERENCE = "hand-written PySpark, stock session"


def contenders(folder: Path) -> dict[str, list[str]]:
    """Command by name; the first is what the others are compared with."""
    return {
        REFERENCE: [*PLAIN, str(folder), "--stock"],
        "hand-written PySpark, this project's session": [*PLAIN, str(folder)],
        "dbt build, models and seeds": [*DBT, "build", "--quiet", *NO_TESTS],
        "dbt build, with every test": [*DBT, "build", "--quiet"],
    }


def main() -> None:
    """Measure every contender, round by round, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    console = Console(width=100, highlight=False)
    seconds: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    nodes: list[tuple[float, str]] = []
    for number in range(1, rounds + 1):
        for name in contenders(Path()):
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                took, peak = measure(contenders(folder)[name], folder)
                console.print(f"round {number}: {name} {took:.1f} s", style="dim")
                results = folder / "target" / "run_results.json"
                if results.is_file():
                    run = json.loads(results.read_text())
                    nodes = sorted(
                        (
                            (r["execution_time"], r["unique_id"].split(".")[2])
                            for r in run["results"]
                            if r["unique_id"].startswith(("model.", "seed."))
                        ),
                        reverse=True,
                    )
            seconds.setdefault(name, []).append(took)
            memory.setdefault(name, []).append(peak)
    base = statistics.median(seconds[REFERENCE])
    table = Table(title=f"Cold processes, median of {rounds}", title_justify="left")
    table.add_column("contender")
    for heading in ("seconds", "ratio", "peak GB"):
        table.add_column(heading, justify="right")
    for name, values in seconds.items():
        middle = statistics.median(values)
        table.add_row(
            name, f"{middle:.1f}", f"{middle / base:.2f}", f"{statistics.median(memory[name]):.1f}"
        )
    console.print(table)
    console.print("Largest models and seeds of the last build (s, four run at a time):")
    for took, name in nodes[:3]:
        console.print(f"  {name} {took:.1f}")


if __name__ == "__main__":
    main()
