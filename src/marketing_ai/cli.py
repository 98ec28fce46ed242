"""The `marketing` command: load, build, report and what is around them."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import duckdb
import typer
from deltalake.exceptions import DeltaError
from rich.console import Console
from rich.markup import escape

from marketing_ai.lake.jars import JarError
from marketing_ai.lake.lock import EXIT_BUSY, LakeBusyError, acquire_writer
from marketing_ai.lake.publication import NotPublishedError, current_publication
from marketing_ai.load.mapping import CANONICAL, MappingError
from marketing_ai.load.presets import NAMES as PRESETS
from marketing_ai.load.reading import FileRefusedError
from marketing_ai.paths import Paths, ProjectNotFoundError, find_paths
from marketing_ai.setup import SetupError, set_up

if TYPE_CHECKING:
    from marketing_ai.api.keys import KeyStore

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
            help=f"CSV with the columns {', '.join(CANONICAL)} in any order. It replaces the file "
            "that was given here before; for more files and other columns: marketing load.",
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Build the demo, although something has been loaded.")
    ] = False,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Rebuild incremental tables from scratch.")
    ] = False,
    select: Annotated[
        str | None,
        typer.Option("--select", "-s", help="dbt selection, for example +marketing_kpi."),
    ] = None,
) -> None:
    """Build, test and publish every table, then show what came out.

    Without --input, from everything that was loaded; from the demo where nothing was.

    Exit codes: 0 published, 1 a model or test failed, 2 the input was refused,
    75 another build is running.
    """
    from marketing_ai.build import build as run_build
    from marketing_ai.report import print_report

    try:
        paths = find_paths()
        before = _published(paths)
        result = run_build(
            paths,
            console,
            input_file=input_file,
            demo=demo,
            full_refresh=full_refresh,
            select=select,
        )
        if result.success and _published(paths) == before:
            console.print("Built, not published: a publication takes a build without a selection.")
            return
        if result.success:
            print_report(console, paths, result, own_data=result.own_data)
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
    if any("rollup_matches" in name or "accounted_for" in name for name, _ in result.failures):
        errors.print(
            "\nThe tables hold other rows than what was loaded: rules, rates or the data source "
            "changed since they were built. `make build ARGS=--full-refresh` rebuilds them.",
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
def inspect(
    file: Annotated[Path, typer.Argument(help="The file to look at; nothing is loaded.")],
    source: Annotated[
        str | None,
        typer.Option("--source", "-s", help="Name of the source; default: from the file's name."),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the proposal to sources/<source>.yml.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --write: replace a mapping that is there.")
    ] = False,
    preset: Annotated[
        str | None,
        typer.Option("--preset", help=f"Take a platform's mapping: {', '.join(PRESETS)}."),
    ] = None,
    header_row: Annotated[
        int | None, typer.Option("--header-row", min=1, help="Line or sheet row of the names.")
    ] = None,
    sheet: Annotated[str | None, typer.Option("--sheet", help="Sheet of an Excel file.")] = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="Encoding of the text, such as cp1252.")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option("--delimiter", help="What separates the columns.")
    ] = None,
) -> None:
    """Look at a file and propose its mapping, with a reason for every choice.

    Shows how the file can be read, which of its columns would become which of ours, what is left
    out and why, and how the first rows would come out. What cannot be decided becomes a question;
    the mapping does not load before you have answered it.

    Exit codes: 0 proposed, 1 the mapping exists already, 2 the file cannot be read.
    """
    from marketing_ai.load.inspect import propose, source_name
    from marketing_ai.load.proposal import print_proposal, to_yaml

    known = {
        "header_row": header_row, "sheet": sheet, "encoding": encoding, "delimiter": delimiter
    }  # fmt: skip
    try:
        proposal = propose(
            file,
            source or source_name(file),
            {name: value for name, value in known.items() if value is not None},
            preset,
        )
        text = to_yaml(proposal)
        print_proposal(console, proposal)
        if not write:
            console.print("\n[bold]the mapping (--write writes it)[/]")
            console.print(text, markup=False, soft_wrap=True)
            return
        target = find_paths().root / "sources" / f"{proposal.settings['source']}.yml"
    except (FileRefusedError, MappingError) as error:
        raise _fail(str(error), 2) from None
    except ProjectNotFoundError as error:
        raise _fail(str(error), 1) from None
    if target.exists() and not force:
        raise _fail(f"{target} is there already; --force replaces it", 1)
    target.parent.mkdir(exist_ok=True)
    target.write_text(text, encoding="utf-8")
    console.print(f"[green]✓[/] wrote {escape(str(target))}; read it before you load")


@app.command()
def load(
    source: Annotated[
        str,
        typer.Option(
            "--source",
            "-s",
            help="Name of the source. Its mapping is sources/<name>.yml, or the preset of that "
            "name; a file that has our own column names needs none.",
        ),
    ],
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files to load, in this order.")
    ] = None,
    table: Annotated[
        str | None,
        typer.Option("--table", help="Instead of files: a table or view of a PostgreSQL database."),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            help="env:NAME, the variable that has postgresql://user:password@host:5432/database. "
            "Default: MARKETING_DATABASE_URL. The address itself works too, but other users of "
            "this machine can then see it.",
        ),
    ] = None,
    cursor: Annotated[
        str | None,
        typer.Option(
            "--cursor",
            help="Column of dates, times or numbers that grows with new rows: only what is new "
            "is read. Without it, the whole table.",
        ),
    ] = None,
    lookback: Annotated[
        int | None,
        typer.Option(
            "--lookback",
            min=0,
            help="How far before the newest value rows are read again, because they may have been "
            "restated: days (default 28), or units of a number (default 0).",
        ),
    ] = None,
) -> None:
    """Load files or a table: judge every row, keep all, show what was accepted and refused.

    A file that has never been seen is first shown to `marketing inspect FILE`, which proposes
    the mapping. The same file twice changes nothing; rows of a later file replace earlier ones
    with the same campaign, channel, segment and date. Afterwards `make build` builds from them.

    Exit codes: 0 loaded, 1 the database cannot be read, 2 a file or the mapping was refused,
    75 somebody else is writing.
    """
    from marketing_ai.load.account import print_load
    from marketing_ai.load.database import DatabaseError, find_url, load_table
    from marketing_ai.load.landing import load_file
    from marketing_ai.load.sources import find_mapping

    if bool(files) == bool(table) or ((database or cursor or lookback is not None) and files):
        raise _fail("name either FILES, or a --table with its --database and --cursor", 2)
    try:
        paths = find_paths()
        mapping = find_mapping(paths.root, source)
        url = find_url(database) if table else None
        acquire_writer(paths.lake, "marketing load")
        if table and url:
            with console.status(f"{escape(table)} …"):
                loaded = load_table(
                    url,
                    table,
                    paths,
                    mapping,
                    source=source,
                    cursor=cursor,
                    lookback=lookback,
                    say=lambda text: errors.print(text, markup=False, soft_wrap=True),
                )
            if loaded is None:
                console.print(f"[green]✓[/] nothing new in {escape(table)}: nothing was changed")
                return
            print_load(console, loaded)
        files = files or []
        for number, file in enumerate(files, start=1):
            with console.status(f"{file.name} ({number} of {len(files)}) …"):
                result = load_file(file, paths, mapping, source=source)
            print_load(console, result)
    except (FileRefusedError, MappingError) as error:
        raise _fail(str(error), 2) from None
    except LakeBusyError as error:
        raise _fail(str(error), EXIT_BUSY) from None
    except (ProjectNotFoundError, DatabaseError) as error:
        raise _fail(str(error), 1) from None
    except (OSError, DeltaError, duckdb.Error) as error:
        raise _fail(f"nothing of {table or file} was loaded: {error}", 1) from None
    console.print("Next: [bold]make build[/] takes it into marketing_clean and the KPI tables.")


@app.command()
def unload(
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    file: Annotated[
        str | None, typer.Option("--file", help="Only what this file brought, by its name.")
    ] = None,
) -> None:
    """Take back what a source, or one file of it, has delivered; the next build goes without it."""
    from marketing_ai.load.landing import unload as take_back

    try:
        paths = find_paths()
        acquire_writer(paths.lake, "marketing unload")
        loads = take_back(paths, source, file)
    except LakeBusyError as error:
        raise _fail(str(error), EXIT_BUSY) from None
    except ProjectNotFoundError as error:
        raise _fail(str(error), 1) from None
    if not loads:
        raise _fail(f"nothing was loaded as {source}{f', {file}' if file else ''}", 2)
    console.print(
        f"[green]✓[/] {loads} load{'s' if loads > 1 else ''} taken back. Next: make build"
    )


@app.command()
def rejects(
    source: Annotated[
        str | None, typer.Option("--source", "-s", help="Of this source only.")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="Write them all to this file, safe to open in a spreadsheet."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="Rows to show.")] = 20,
) -> None:
    """Show the refused rows of the published state: file, line, column, rule and value."""
    from marketing_ai.load.rejects import print_rejects, published_rejects, write_csv

    try:
        rows = published_rejects(find_paths(), source)
        print_rejects(console, rows, limit)
        if csv is not None:
            write_csv(rows, csv)
            console.print(f"[green]✓[/] {rows.height:,} rows in {csv}")
    except (NotPublishedError, ProjectNotFoundError) as error:
        raise _fail(str(error), 1) from None
    except OSError as error:
        raise _fail(f"{csv}: {error.strerror}", 1) from None


@app.command()
def ask(
    question: Annotated[
        str, typer.Argument(help='For example "Which campaigns are underperforming?"')
    ],
    then: Annotated[
        list[str] | None,
        typer.Option(
            "--then",
            "-t",
            help='A follow-up, such as "and for social?", or the name of a reading; repeatable.',
        ),
    ] = None,
    choose: Annotated[
        int | None, typer.Option("--choose", help="Which reading, where the question has several.")
    ] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Also show the SQL that ran.")] = False,
    facts: Annotated[
        bool, typer.Option("--facts", help="Also show each number with its row and column.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The whole answer as JSON.")] = False,
    model: Annotated[
        bool | None,
        typer.Option(
            "--model/--no-model",
            help="Use the language model of MARKETING_LLM_PROVIDER (docs/language_models.md), or "
            "not. Default: where it is set.",
        ),
    ] = None,
    show_prompt: Annotated[
        bool,
        typer.Option(
            "--show-prompt",
            help="Also show what was sent to the language model; without one, what would be.",
        ),
    ] = False,
) -> None:
    """Ask the published tables a question; every number of the answer comes from a row.

    Needs no key, no network and no Java. Questions are about CTR, CVR, CPL, ROI and the other
    metrics, by campaign, channel, audience segment and date; under-performing campaigns,
    performance segments, the revenue forecast and changes of the budget.

    Exit codes: 0 answered, 1 nothing is published or a setting is wrong, 2 refused, 3 asked back.
    """
    from marketing_ai.assistant.ask import Assistant
    from marketing_ai.assistant.catalog import CatalogError
    from marketing_ai.assistant.models.client import find_model
    from marketing_ai.assistant.models.settings import SettingsError
    from marketing_ai.assistant.show import print_answer, print_prompts

    try:
        assistant = Assistant(find_paths(), find_model(model, preview=show_prompt))
        answer = assistant.ask(question)
        if choose is not None:
            if not 1 <= choose <= len(answer.options):
                raise _fail(f"--choose {choose}: there are {len(answer.options)} readings", 2)
            answer = assistant.run(answer.options[choose - 1].plan, question=question)
        answers = [answer]
        for follow_up in then or []:
            last = next((a.plan for a in reversed(answers) if a.plan), None)
            answers.append(assistant.ask(follow_up, last=last, options=answers[-1].options))
        catalog = assistant.catalog()
    except (NotPublishedError, ProjectNotFoundError, CatalogError, SettingsError) as error:
        raise _fail(str(error), 1) from None
    for number, given in enumerate(answers):
        if show_prompt:
            print_prompts(errors if as_json else console, given)
        if as_json:
            typer.echo(json.dumps(given.as_dict(), default=str, ensure_ascii=False))
            continue
        if number:
            console.print(f"\n> {escape(given.question)}")
        print_answer(console, given, catalog, sql=sql, facts=facts)
    codes = {"answered": 0, "refused": 2, "clarify": 3}
    raise typer.Exit(codes[answers[-1].status])


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="Port on the loopback address.")] = 8000,
    rate: Annotated[str, typer.Option(help="Requests of one key.")] = "120/minute",
    answers_kept: Annotated[
        int, typer.Option(min=0, help="Answers kept, until something newer is published.")
    ] = 2000,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Accept everybody on this machine, without a key.")
    ] = False,
    model: Annotated[
        bool,
        typer.Option("--model", help="Use the language model of docs/language_models.md."),
    ] = False,
) -> None:
    """Answer questions over HTTP on 127.0.0.1; docs/api.md has every path.

    Needs the packages of requirements/serve.txt: `make serve` installs them. Put a proxy with TLS
    before it to serve other machines.
    """
    uvicorn = _extra("uvicorn")
    from marketing_ai.api.app import Settings, create_app
    from marketing_ai.assistant.ask import Assistant
    from marketing_ai.assistant.models.client import find_model
    from marketing_ai.assistant.models.settings import SettingsError

    try:
        paths = find_paths()
        keys = None if no_auth else _keys_to_serve(paths)
        paths.logs.mkdir(exist_ok=True)
        settings = Settings(keys, rate, paths.logs / "api_audit.jsonl", answers_kept)
        application = create_app(Assistant(paths, find_model(model)), settings)
    except (ProjectNotFoundError, SettingsError, ValueError) as error:
        raise _fail(str(error), 1) from None
    uvicorn.run(application, host="127.0.0.1", port=port, access_log=False, log_level="warning")


@app.command()
def mcp(
    http: Annotated[
        bool, typer.Option("--http", help="Over HTTP on 127.0.0.1 with keys, instead of stdio.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port on the loopback address.")] = 8001,
    channels: Annotated[
        str | None, typer.Option(help="Over stdio: the channels that the agent sees, by commas.")
    ] = None,
) -> None:
    """Answer agents over MCP, on stdio or HTTP; docs/agents.md says how to connect one.

    Over stdio, the variable MARKETING_API_KEY gives the agent the scopes and channels of a key.
    Needs the packages of requirements/serve.txt: `make serve` or `make setup-serve` installs them.
    """
    _extra("mcp")
    from marketing_ai.assistant.ask import Assistant
    from marketing_ai.mcp.server import create_server

    try:
        paths = find_paths()
        own_key = None if http else os.environ.get("MARKETING_API_KEY")
        keys = _keys_to_serve(paths) if http or own_key is not None else None
        if keys and own_key is not None and keys.find(own_key) is None:
            raise ValueError("the key of MARKETING_API_KEY is wrong, revoked or expired")
    except (ProjectNotFoundError, ValueError) as error:
        raise _fail(str(error), 1) from None
    seen = _channels(channels)
    if seen is not None and keys is not None:
        raise _fail("--channels: with a key, the channels are those of the key", 2)
    server = create_server(Assistant(paths), seen, keys, f"http://127.0.0.1:{port}", own_key)
    if http:
        server.run("streamable-http", port=port)
    else:
        server.run("stdio")


@app.command()
def genie(
    schema: Annotated[
        str, typer.Option(help="Catalogue and schema of the tables on Databricks.")
    ] = "main.marketing",
    explain: Annotated[
        str | None, typer.Option(help="Instead: SQL that has ai_query explain this question.")
    ] = None,
    endpoint: Annotated[
        str, typer.Option(help="Serving endpoint for --explain.")
    ] = "databricks-meta-llama-3-3-70b-instruct",
) -> None:
    """Print a Databricks Genie space (JSON), or an ai_query statement; neither was run here."""
    from marketing_ai.assistant.ask import Assistant
    from marketing_ai.assistant.catalog import CatalogError
    from marketing_ai.integrations.databricks import ai_query_sql, genie_space

    try:
        assistant = Assistant(find_paths())
        if explain:
            typer.echo(ai_query_sql(assistant, schema, explain, endpoint))
        else:
            space = genie_space(assistant, schema)
            typer.echo(json.dumps(space, indent=1, ensure_ascii=False))
    except (NotPublishedError, ProjectNotFoundError, CatalogError, ValueError) as error:
        raise _fail(str(error), 1) from None


keys_app = typer.Typer(help="Keys of the API and of MCP over HTTP.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")


@keys_app.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="Whom the key is for.")],
    channels: Annotated[
        str | None, typer.Option(help="Channels that its holder sees, by commas; default: all.")
    ] = None,
    scopes: Annotated[
        str, typer.Option(help="What it may be used for, by commas.")
    ] = "ask,run,catalog",
    days: Annotated[int | None, typer.Option(min=1, help="How long it lasts.")] = None,
) -> None:
    """Make a key and show it, this once."""
    from marketing_ai.api.keys import SCOPES, KeyStore, Scope

    wanted = {part.strip() for part in scopes.split(",")}
    if unknown := wanted - set(SCOPES):
        raise _fail(f"--scopes: {', '.join(sorted(unknown))}; known are {', '.join(SCOPES)}", 2)
    given: frozenset[Scope] = frozenset(scope for scope in SCOPES if scope in wanted)
    seen = _channels(channels)
    try:
        paths = find_paths()
        unknown_channels = _unknown(seen, paths)
        key, text = KeyStore.of(paths).create(name, given, seen, days)
    except (ProjectNotFoundError, NotPublishedError, ValueError) as error:
        raise _fail(str(error), 1) from None
    if unknown_channels:
        names = ", ".join(unknown_channels)
        errors.print(f"not in the published data: {names}", style="yellow", markup=False)
    console.print(f"key {key.id} for {escape(key.name)}; it is not shown again:")
    typer.echo(text)


@keys_app.command("list")
def keys_list() -> None:
    """Show the keys, without their secrets."""
    from marketing_ai.api.keys import KeyStore

    try:
        known = KeyStore.of(find_paths()).all()
    except (ProjectNotFoundError, ValueError) as error:
        raise _fail(str(error), 1) from None
    for key in known:
        seen = ",".join(sorted(key.channels)) if key.channels is not None else "all channels"
        until = f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "no end"
        state = "revoked" if key.revoked else until
        line = f"{key.id}  {key.name}  {','.join(sorted(key.scopes))}  {seen}  {state}"
        console.print(line, markup=False)


@keys_app.command("revoke")
def keys_revoke(key_id: Annotated[str, typer.Argument(help="Its id, from `keys list`.")]) -> None:
    """Take a key back; a running server refuses it from the next request on."""
    from marketing_ai.api.keys import KeyStore

    try:
        KeyStore.of(find_paths()).revoke(key_id)
    except (ProjectNotFoundError, ValueError) as error:
        raise _fail(str(error), 1) from None
    console.print(f"[green]✓[/] {escape(key_id)} is revoked")


def _channels(text: str | None) -> frozenset[str] | None:
    """Channels of an option; an empty one is a mistake and must not come to mean all."""
    if text is None:
        return None
    names = frozenset(part.strip() for part in text.split(",")) - {""}
    if not names:
        raise _fail("--channels: name at least one; leave the option out for all", 2)
    return names


def _unknown(channels: frozenset[str] | None, paths: Paths) -> list[str]:
    """Channels without a published row, where something is published."""
    if channels is None or _published(paths) is None:
        return []
    known = current_publication(paths).read("marketing_kpi")["channel"].unique()
    return sorted(channels - set(known))


def _extra(package: str) -> Any:
    """A package of the servers, which `make build` does not install."""
    try:
        return import_module(package)
    except ImportError:
        text = f"{package} is not installed: `make setup-serve`, or pip install -e '.[serve]'"
        raise _fail(text, 1) from None


def _keys_to_serve(paths: Paths) -> KeyStore:
    from marketing_ai.api.keys import KeyStore

    store = KeyStore.of(paths)
    if not store.all():
        raise ValueError("there is no key yet: `marketing keys create NAME` makes one")
    return store


@app.command()
def report() -> None:
    """Show the published tables again: rows, KPIs per channel, forecast accuracy, segments."""
    from marketing_ai.report import print_report

    try:
        print_report(console, find_paths())
    except (NotPublishedError, ProjectNotFoundError) as error:
        raise _fail(str(error), 1) from None


@app.command()
def doctor(
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="First mend the tables: what is damaged is taken back to its last good version, "
            "or moved to .broken in the lake. Nothing is deleted.",
        ),
    ] = False,
) -> None:
    """Look for what is broken, and name the command that mends it. Starts no JVM.

    Exit codes: 0 nothing is broken, 1 something is, 75 --repair while somebody is writing.
    """
    from marketing_ai.doctor import print_examination
    from marketing_ai.doctor import repair as mend

    try:
        paths = find_paths()
        for line in mend(paths) if repair else ():
            console.print(f"[green]mended[/] {escape(line)}", soft_wrap=True)
        if not print_examination(console, paths):
            raise typer.Exit(1)
    except LakeBusyError as error:
        raise _fail(str(error), EXIT_BUSY) from None
    except ProjectNotFoundError as error:
        raise _fail(str(error), 1) from None


if __name__ == "__main__":
    app()
