"""The README's pictures, taken from the published tables and the generated lineage site.

A headless Chromium renders both: the KPI table as `marketing report` prints it, and the lineage
graph of `make docs`. Without a browser nothing is written and the message says what to install.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console

from marketing_ai.paths import Paths, find_paths
from marketing_ai.report import print_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The graph of everything that the Power BI report rests on, drawn by dbt's own page.
LINEAGE = "#!/model/model.marketing_ai.marketing_kpi?g_v=1&g_i=%2Bexposure:power_bi"


class NoBrowserError(RuntimeError):
    """No Chromium or Chrome was found."""


def take(page: str, target: Path, width: int, height: int) -> None:
    """Write a PNG of `page` (a URL) as a browser window of that size shows it.

    Raises:
        NoBrowserError: there is no browser, or it wrote nothing.
    """
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise NoBrowserError("no Chromium or Chrome found; on Debian: apt install chromium")
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",  # containers run as root; the page is our own file
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--virtual-time-budget=15000",
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
                f"--screenshot={target}",
                page,
            ],
            check=False,
            capture_output=True,
            timeout=120,
        )
    if not target.is_file():
        raise NoBrowserError(f"{browser} wrote no picture of {page}")


def kpi_table(paths: Paths, target: Path) -> None:
    """Picture of the report, as the terminal shows it."""
    # The file is a sink: only what is recorded counts.
    with open("/dev/null", "w") as sink:
        console = Console(record=True, width=100, file=sink, highlight=False)
        print_report(console, paths)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "report.html")
        page.write_text(
            '<meta charset="utf-8"><style>body{margin:16px}</style>'
            + console.export_html(inline_styles=True, clear=False)
        )
        lines = console.export_text().count("\n")
        take(page.as_uri(), target, 1020, 19 * lines + 60)


def main() -> None:
    """Write screenshots/kpi_table.png and screenshots/lineage.png."""
    paths = find_paths()
    site = paths.root / "target" / "static_index.html"
    folder = paths.root / "screenshots"
    folder.mkdir(exist_ok=True)
    kpi_table(paths, folder / "kpi_table.png")
    if not site.is_file():
        raise SystemExit("there is no lineage site yet: run `make docs`, then this again")
    take(site.as_uri() + LINEAGE, folder / "lineage.png", 1500, 900)


if __name__ == "__main__":
    main()
