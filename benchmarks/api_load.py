"""The API under load: 50 clients at once on a publication of 100 k KPI rows.

The lake is made here from the user's publication: marketing_kpi is repeated until it has the rows,
every other table is copied. Each client asks one question after the other over loopback for the
given time; the second run keeps no answers, so it shows what a question that nobody asked before
costs. Clients and server share the machine.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from marketing_ai.api.keys import KeyStore
from marketing_ai.lake.publication import current_publication
from marketing_ai.paths import find_paths

QUESTIONS = (
    "Which campaigns are underperforming?",
    "Which audience segment has the highest ROI?",
    "What revenue can we expect if budget increases by 20%?",
    "ROI by channel", "Cost by campaign last month", "Revenue by month",
    "Which campaigns have ROI below 0 and CPL above 50?", "Share of revenue by channel",
    "Top 3 campaigns by conversions", "CPL of social in December",
    "How did revenue change compared to last month?", "What is CTR?",
    "Same budget, better split", "Expected revenue by channel", "How many campaigns are there?",
    "Umsatz nach Kanal", "Quel est le ROI par canal ?", "Which employees are underperforming?",
    "Cost per lead by week in Q4 2025", "Revenue of brnd serch",
)  # fmt: skip


@dataclass
class Measured:
    """Answers of one run: milliseconds of each, statuses, and the time that all took."""

    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0


def make_lake(rows: int, folder: Path) -> int:
    """Write the lake; returns the number of KPI rows."""
    newest = current_publication(find_paths())
    entries = []
    for table in newest.versions:
        frame = newest.read(table)
        if table == "marketing_kpi":
            times = -(-rows // frame.height)
            frame = pl.concat([frame] * times).head(rows)
        frame.write_delta(folder / "marketing.db" / table)
        entries.append((table, 0, frame.height, newest.published_at))
    names = ["table_name", "delta_version", "row_count", "published_at"]
    pl.DataFrame(entries, schema=names, orient="row").write_delta(
        folder / "marketing.db" / "publication"
    )
    return rows


async def _ask(
    url: str, headers: dict[str, str], until: float, place: int, measured: Measured
) -> None:
    """One client, with a connection of its own."""
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as web:
        while time.perf_counter() < until:
            question = QUESTIONS[place % len(QUESTIONS)]
            place += 1
            started = time.perf_counter()
            answer = await web.post("/v1/ask", json={"question": question})
            measured.milliseconds.append((time.perf_counter() - started) * 1000)
            measured.statuses[answer.status_code] += 1


async def load(url: str, key: str, clients: int, seconds: float) -> Measured:
    """Ask with so many clients at once for so long, after each question was asked once."""
    measured = Measured()
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as web:
        for question in QUESTIONS:
            web.post("/v1/ask", json={"question": question})
    started = time.perf_counter()
    until = started + seconds
    asking = (_ask(url, headers, until, place * 7, measured) for place in range(clients))
    await asyncio.gather(*asking)
    measured.seconds = time.perf_counter() - started
    return measured


def _serve(folder: Path, kept: int) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    environment = os.environ | {"MARKETING_LAKE": str(folder), "MARKETING_SCHEMA": "marketing"}
    command = [sys.executable, "-m", "marketing_ai.cli", "serve", "--port", str(port)]
    command += ["--rate", "1000000/second", "--answers-kept", str(kept)]
    server = subprocess.Popen(command, env=environment)
    url = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            httpx.get(f"{url}/readyz", timeout=30).raise_for_status()
            return server, url
        except httpx.TransportError:
            time.sleep(0.1)
    server.kill()
    raise SystemExit("the server did not start")


def main(
    rows: Annotated[int, typer.Option(help="Rows of marketing_kpi.")] = 100_000,
    clients: Annotated[int, typer.Option(help="Clients at once.")] = 50,
    seconds: Annotated[float, typer.Option(help="How long each run takes.")] = 15,
) -> None:
    """Measure the API under load."""
    console = Console(width=120)
    table = Table("run", "requests", "a second", "p50 ms", "p95 ms", "p99 ms", "statuses")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = make_lake(rows, folder)
        _, key = KeyStore(folder / "api_keys.json").create("load")
        for run, kept, at_once in (
            ("answers kept (as served)", 2000, clients),
            ("none kept", 0, clients),
            ("none kept, one client", 0, 1),
        ):
            server, url = _serve(folder, kept)
            try:
                measured = asyncio.run(load(url, key, at_once, seconds))
            finally:
                server.terminate()
                server.wait(20)
            half, most, nearly_all = np.percentile(measured.milliseconds, [50, 95, 99])
            table.add_row(
                f"{run}, {at_once} at once", f"{len(measured.milliseconds):,}",
                f"{len(measured.milliseconds) / measured.seconds:,.0f}", f"{half:.0f}",
                f"{most:.0f}", f"{nearly_all:.0f}", str(dict(measured.statuses)),
            )  # fmt: skip
    console.print(f"{made:,} rows of marketing_kpi, {len(QUESTIONS)} questions in turn")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
