"""The `marketing` command: set up, build, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from marketing_ai.lake.jars import JarError
from marketing_ai.lake.lock import EXIT_BUSY, LakeBusyError
from marketing_ai.lake.publication import NotPublishedError, current_publication
from marketing_ai.load.canonical import COLUMNS, FileRefusedError
from marketing_ai.paths import Paths, ProjectNotFoundError, find_paths
from marketing_ai.setup import SetupError, set_up

app = typer.Typer(
    help="Campaign data to trusted KPIs, a revenue forecast and named segments.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def _fail(message: str, code: int) -> typer.Exit:
    errors.print(message, style="red", markup=False, soft_wrap=True)
    return typer.Exit(code)


def _published(paths: Paths) -> int | None:
    """Version of the publication, None before the first."""
    try:
        return current_publication(paths).version
    except NotPublishedError:
        return None


@app.command()
def setup() -> None:
    """Fetch and check the Delta jars, warm up the JVM's class archive, write profiles.yml."""
    try:
        with console.status("fetching the Delta jars, preparing Spark (about a minute, once) …"):
            done = set_up(find_paths())
    except (SetupError, JarError, ProjectNotFoundError) as error:
        raise _fail(str(error), 1) from None
    for line in done:
        console.print(f"[green]✓[/] {line}")


@app.command()
def build(
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            help=f"CSV with the columns {', '.join(COLUMNS)} in any order; without it, the demo.",
        ),
    ] = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Rebuild incremental tables from scratch.")
    ] = False,
    select: Annotated[
        str | None,
        typer.Option("--select", "-s", help="dbt selection, for example +marketing_kpi."),
    ] = None,
) -> None:
    """Build, test and publish every table, then show what came out.

    Exit codes: 0 published, 1 a model or test failed, 2 the input was refused,
    75 another build is running.
    """
    from marketing_ai.build import build as run_build
    from marketing_ai.report import print_report

    try:
        paths = find_paths()
        before = _published(paths)
        result = run_build(
            paths, console, input_file=input_file, full_refresh=full_refresh, select=select
        )
        if result.success and _published(paths) == before:
            console.print("Built, not published: a publication takes a build without a selection.")
            return
        if result.success:
            print_report(console, paths, result, own_data=input_file is not None)
            return
    except FileRefusedError as error:
        raise _fail(str(error), 2) from None
    except LakeBusyError as error:
        raise _fail(str(error), EXIT_BUSY) from None
    except (JarError, ProjectNotFoundError, NotPublishedError) as error:
        raise _fail(str(error), 1) from None
    except OSError as error:
        raise _fail(f"{error.filename}: {error.strerror}", 1) from None
    for name, message in result.failures:
        errors.print(f"\n{name}", style="bold red", markup=False)
        errors.print(f"  {message.strip()}", markup=False, soft_wrap=True)
    if any(name.startswith("rollup_matches_marketing_kpi") for name, _ in result.failures):
        errors.print(
            "\nThe KPI tables hold other rows than marketing_clean: rows older than the "
            "restatement window arrived, or the data source changed. "
            "`make build ARGS=--full-refresh` rebuilds them from scratch.",
            style="yellow",
            soft_wrap=True,
        )
    outcome = "Nothing was published: readers stay on the last good tables."
    if _published(paths) != before:
        outcome = "The tables were published; what failed does not concern them."
    raise _fail(
        f"\n{outcome} Details: {paths.logs / 'dbt.log'}",
        1,
    )


@app.command()
def report() -> None:
    """Show the published tables again: rows, KPIs per channel, forecast accuracy, segments."""
    from marketing_ai.report import print_report

    try:
        print_report(console, find_paths())
    except (NotPublishedError, ProjectNotFoundError) as error:
        raise _fail(str(error), 1) from None


if __name__ == "__main__":
    app()
