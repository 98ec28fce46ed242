"""Land a file: every delivered row, as text, with its file, line and verdict.

The cells become canonical text, the declared rules judge each row, and the file is written in
one Delta commit, or refused whole with the reasons. What was delivered is what was accepted plus
what was refused, and that is checked before and after the commit.
"""

from __future__ import annotations

import difflib
import json
import os
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
from deltalake import DeltaTable, WriterProperties, write_deltalake

from marketing_ai.load import ledger as ledgers
from marketing_ai.load.cell_table import find_repeats, make_cells, row_as_json
from marketing_ai.load.cells import EXPECTED, TIDY, quoted
from marketing_ai.load.mapping import (
    AMOUNTS,
    CANONICAL,
    COUNTS,
    MEASURES,
    PLAIN,
    RULES,
    Mapping,
    canonical_mapping,
)
from marketing_ai.load.reading import Delivery, FileRefusedError, personal_columns, read_delivery
from marketing_ai.load.rules import broken_rules, project_currency, rates_sql, rules_md5
from marketing_ai.paths import Paths

MAX_SHOWN = 10  # refused rows that are listed; the rest is counted

# Column that a broken rule is shown with.
_RULE_COLUMN = {
    "negative_cost": "cost",
    "negative_revenue": "revenue",
    "clicks_above_impressions": "clicks",
    "clicks_without_impressions": "clicks",
    "conversions_above_clicks": "conversions",
    "conversions_without_clicks": "conversions",
    "future_date": "date",
    "impossible_date": "date",
    "late_date": "date",
    "huge_value": "cost",
    "duplicate": "campaign_id",
    "repeated_key": "campaign_id",
    "currency_without_rate": "currency",
}
_MEANING = {
    "negative_cost": "cost below 0",
    "negative_revenue": "revenue below 0",
    "clicks_above_impressions": "more clicks than impressions",
    "clicks_without_impressions": "clicks without impressions",
    "conversions_above_clicks": "more conversions than clicks",
    "conversions_without_clicks": "conversions without clicks",
    "future_date": "a date after the day of the load",
    "impossible_date": "not an existing date between 1990 and 2100",
    "late_date": "older than the look-back of the source (lookback_days)",
    "huge_value": "a count above 10^12 or an amount above 10^10",
    "duplicate": "an exact copy of an earlier line",
    "repeated_key": "the same campaign_id, channel, segment, date more than once "
    "(repeated_keys: sum adds such rows up)",
    "currency_without_rate": "a currency without a rate in seeds/exchange_rates.csv "
    "(the project's own is `currency` in dbt_project.yml)",
}


@dataclass(frozen=True)
class LoadResult:
    """What a load did with one file.

    Attributes:
        load_no: number of the load in the ledger.
        source: name of the source.
        file: name of the file.
        sha256: hash of its bytes.
        delivered: rows in the file; always accepted + refused.
        accepted: rows that the build takes into marketing_clean.
        refused: rows that end in marketing_rejects.
        refused_by: refused rows by rule.
        warned_by: accepted rows that break a rule which only warns, by rule.
        faults: the first refused rows in words.
        absent: our columns that the source doesn't have.
        ignored: columns of the file that nothing reads.
        empty: number of empty cells by measure, where a measure has any.
        unmapped: rows by channel that the mapping doesn't know.
        dates: first and last day, None without dates.
        already: the load that brought this very file before; nothing was done.
    """

    load_no: int
    source: str
    file: str
    sha256: str
    delivered: int = 0
    accepted: int = 0
    refused: int = 0
    refused_by: dict[str, int] = field(default_factory=dict)
    warned_by: dict[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    empty: dict[str, int] = field(default_factory=dict)
    unmapped: dict[str, int] = field(default_factory=dict)
    dates: tuple[date, date] | None = None
    already: bool = False


def load_file(
    path: Path,
    paths: Paths,
    mapping: Mapping | None,
    *,
    source: str | None = None,
    named: str | None = None,
    cursor_value: str | None = None,
) -> LoadResult:
    """Judge a file and land it; the caller holds the lake's writer lock.

    Args:
        path: the file.
        paths: folders of the project and the lake.
        mapping: of the source; None: the file has our own column names.
        source: name of the source where there is no mapping.
        named: what the ledger calls the delivery instead of the file's name.
        cursor_value: how far an incremental source has been read, for the ledger.

    Raises:
        FileRefusedError: the file has a structural fault or too many refused rows; nothing of it
            was taken over.
    """
    with _connect() as connection:
        delivery = read_delivery(
            connection,
            path,
            mapping.read if mapping else PLAIN,
            used=mapping.sources if mapping else None,
        )
        if mapping is None:
            _check_canonical(path, delivery)
            mapping = canonical_mapping(source or "input", delivery.header)
        name = named or delivery.file
        ledger = ledgers.read_ledger(paths)
        if (before := _loaded_before(ledger, mapping, delivery, name)) is not None:
            return before
        _check_header(path, delivery, mapping)
        _check_personal(path, connection, delivery, mapping)
        make_cells(connection, delivery, mapping)
        find_repeats(connection)
        late = _late_before(ledger, mapping)
        today = datetime.now(UTC).date()
        _judge(connection, paths, mapping, today, late)
        result = _result(connection, delivery, mapping, name)
        _check_share(path, result, mapping)
        load_no = int(ledger["load_no"].max() or 0) + 1  # type: ignore[arg-type]
        ledgers.drop_unfinished(paths, ledger)
        _write(connection, paths, delivery, mapping, name, load_no, result.delivered)
        months = connection.sql(
            "select distinct n_date[:7] || '-01' from cells "
            "where n_date is not null and fault_column is null order by 1"
        ).fetchall()
        first, last = result.dates or (None, None)
        ledgers.enter(
            paths,
            {
                "load_no": load_no,
                "source": mapping.source,
                "source_file": name,
                "source_sha256": delivery.sha256,
                "loaded_on": today,
                "delivered": result.delivered,
                "accepted": result.accepted,
                "refused": result.refused,
                "warned": sum(result.warned_by.values()),
                "converted": _converted(connection, paths),
                "rules_md5": rules_md5(paths.root),
                "refusing_rules": "," + ",".join(_refusing(mapping)) + ",",
                "repeated_keys": mapping.repeated_keys,
                "late_before": late,
                "first_date": first,
                "last_date": last,
                "months": ",".join(month for (month,) in months),
                "cursor_value": cursor_value,
            },
        )
    return LoadResult(**{**result.__dict__, "load_no": load_no})


def preview(
    connection: duckdb.DuckDBPyConnection, delivery: Delivery, mapping: Mapping, limit: int = 5
) -> list[dict[str, object]]:
    """The first rows as they would come out: line, our columns as text, and the fault if any."""
    connection.execute(TIDY)
    make_cells(connection, delivery, mapping, limit=limit)
    names = ["line", *CANONICAL, "fault_column", "fault_value"]
    selected = ", ".join(f"n_{n}" if n in CANONICAL else n for n in names)
    rows = connection.execute(f"select {selected} from cells order by line, part").fetchall()  # noqa: S608
    return [dict(zip(names, row, strict=True)) for row in rows]


def unload(paths: Paths, source: str, file: str | None = None) -> int:
    """Take back what a source, or one file of it, has delivered; returns the number of loads.

    The next build has to start from scratch, which `make build` does by itself.
    """
    ledger = ledgers.read_ledger(paths).filter(pl.col("source") == source)
    if file is not None:
        ledger = ledger.filter(pl.col("source_file") == file)
    loads = ledger["load_no"].to_list()
    if loads:
        ledgers.remove(paths, loads)
        forget_build(paths)
    return len(loads)


def forget_build(paths: Paths) -> None:
    """Make the next build start from scratch: merged tables hold rows that are gone."""
    (paths.lake / f"{paths.schema}.db" / ".data_source").unlink(missing_ok=True)


def meaning(rule: str) -> str:
    """What breaking a rule means, in words."""
    if rule in EXPECTED:
        return EXPECTED[rule]
    return _MEANING.get(rule) or rule.replace("_", " ")


def _connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    # Beyond this it spills to disk instead of taking the whole machine.
    limit = os.environ.get("MARKETING_LOAD_MEMORY", "50%")
    connection.execute(f"set memory_limit = {quoted(limit)}")
    connection.execute(f"set temp_directory = {quoted(tempfile.gettempdir() + '/marketing-load')}")
    connection.execute("set preserve_insertion_order = true")
    connection.execute(TIDY)
    return connection


def _check_canonical(path: Path, delivery: Delivery) -> None:
    """A file without a mapping must have our names, all but the optional ones."""
    header = delivery.header
    needed = ["campaign_id", "channel", "segment", "date", "impressions", "clicks", "conversions"]
    missing = [name for name in (*needed, "cost") if name not in header]
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        advice = "rename them, or let `marketing inspect` propose a mapping"
        if any(name.casefold() in missing for name in header):
            advice = "the names are in lower case, as written here"
        raise FileRefusedError(
            f"{path}, line 1: missing column {names}; the header has "
            f"{', '.join(header) or 'nothing'}; {advice}"
        )
    absent = [name for name in CANONICAL if name not in header]
    for name in header:
        # A misspelt optional column would vanish without a word.
        near = difflib.get_close_matches(name.lower(), absent, n=1, cutoff=0.8)
        if name not in CANONICAL and near:
            raise FileRefusedError(
                f"{path}, line 1: column '{name}' is unknown; is it '{near[0]}'? "
                "Rename it, or remove it from the file"
            )


def _loaded_before(
    ledger: pl.DataFrame, mapping: Mapping, delivery: Delivery, name: str
) -> LoadResult | None:
    same = ledger.filter(pl.col("source_sha256") == delivery.sha256)
    for row in same.iter_rows(named=True):
        if row["source"] == mapping.source:
            return LoadResult(
                row["load_no"], mapping.source, name, delivery.sha256, row["delivered"],
                row["accepted"], row["refused"], already=True,
            )  # fmt: skip
        raise FileRefusedError(
            f"{name}: the very same content was loaded as source {row['source']} "
            f"({row['source_file']}, load {row['load_no']}), and would count twice. "
            f"To move it: marketing unload {row['source']} --file {row['source_file']}"
        )
    return None


def _check_header(path: Path, delivery: Delivery, mapping: Mapping) -> None:
    folded: dict[str, list[str]] = {}
    for name in delivery.header:
        folded.setdefault(name.casefold(), []).append(name)
    for source in mapping.sources:
        if source in delivery.columns:
            continue
        if len(same := folded.get(source.casefold(), [])) == 1:
            delivery.columns[source] = delivery.columns[same[0]]
            continue
        near = difflib.get_close_matches(source, delivery.header, n=1)
        raise FileRefusedError(
            f"{path}, header: the mapping of {mapping.source} reads the column '{source}', "
            f"which the file doesn't have{f'; is it now {near[0]!r}?' if near else ''}. "
            f"The header has {', '.join(delivery.header)}"
        )


def _check_personal(
    path: Path, connection: duckdb.DuckDBPyConnection, delivery: Delivery, mapping: Mapping
) -> None:
    declared = {name.casefold() for name in mapping.personal_data}
    found = [
        name for name in personal_columns(connection, delivery) if name.casefold() not in declared
    ]
    if found:
        names = ", ".join(f"'{name}'" for name in found)
        raise FileRefusedError(
            f"{path}: {names} looks like personal data, which campaign figures don't need. Remove "
            "the column from the file, or list it under personal_data: in "
            f"sources/{mapping.source}.yml, and it is left out before anything is stored"
        )


def _converted(connection: duckdb.DuckDBPyConnection, paths: Paths) -> int:
    """Rows whose amounts are not in the project's currency."""
    ((number,),) = connection.sql(
        f"select count(*) from cells where currency <> {quoted(project_currency(paths.root))}"  # noqa: S608
    ).fetchall()
    return int(number)


def _late_before(ledger: pl.DataFrame, mapping: Mapping) -> date | None:
    newest = ledgers.newest_date(ledger, mapping.source)
    if mapping.lookback_days is None or newest is None:
        return None
    return newest - timedelta(days=mapping.lookback_days)


def _refusing(mapping: Mapping) -> list[str]:
    return [rule for rule in RULES if mapping.action(rule) == "refuse"]


def _judge(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    mapping: Mapping,
    today: date,
    late_before: date | None,
) -> None:
    """Make table `judged`: line, part, broken rules, of the rows that break any."""
    own = quoted(project_currency(paths.root))
    casts = ", ".join(
        [
            *(f"try_cast(n_{name} as bigint) as {name}" for name in COUNTS),
            *(f"try_cast(n_{name} as decimal(18, 4)) as {name}" for name in AMOUNTS),
        ]
    )
    late = f"date '{late_before}'" if late_before else "null::date"
    connection.execute(f"create or replace table rates as {rates_sql(paths.root)}")
    connection.execute(
        f"""
        create or replace table judged as
        with typed as (
            select
                cells.line, cells.part, try_cast(n_date as date) as date, {casts}, cells.currency,
                coalesce(copy_no, 1) as copy_no, coalesce(key_rows, 1) as key_rows,
                coalesce(key_rank, 1) as key_rank, {quoted(mapping.repeated_keys)} as repeated_keys,
                date '{today}' as loaded_on, {late} as late_before, {own} as project_currency
            from cells left join repeats using (line, part)
            where fault_column is null
        ),
        rated as (
            select typed.*, rates.exchange_rate
            from typed left join rates
                on typed.currency = rates.currency
                and typed.date >= rates.valid_from and typed.date < rates.valid_until
        ),
        broken as (select line, part, {broken_rules(paths.root)} as rules from rated)
        select * from broken where rules <> ''
        """  # noqa: S608
    )
    refusing = ", ".join(quoted(rule) for rule in _refusing(mapping))
    connection.execute(
        f"""
        create or replace table refused as
        select line, part, fault_column as name, fault_rule as rule, fault_value as value
        from cells where fault_column is not null
        union all
        select line, 0, '', rule, value from broken
        union all
        select
            line, part, '',
            list_filter(string_split(rules, ','), lambda rule: rule in ({refusing}))[1] as first, ''
        from judged where first is not null
        """  # noqa: S608
    )


def _result(
    connection: duckdb.DuckDBPyConnection, delivery: Delivery, mapping: Mapping, name: str
) -> LoadResult:
    """Count what was judged; delivered must be accepted plus refused, row by row."""
    ((landed,),) = connection.sql("select count(*) from cells").fetchall()
    ((refused, doubled),) = connection.sql(
        "select count(*), count(*) - count(distinct (line, part)) from refused"
    ).fetchall()
    ((accepted,),) = connection.sql(
        "select count(*) from cells anti join refused using (line, part)"
    ).fetchall()
    delivered = delivery.rows * max(1, len(mapping.unpivot)) + delivery.broken
    if delivered != accepted + refused or doubled or landed + delivery.broken != delivered:
        raise AssertionError(
            f"{name}: {delivered} rows delivered, {accepted} accepted, {refused} refused"
        )
    refused_by = Counter(
        dict(connection.sql("select rule, count(*) from refused group by rule").fetchall())
    )
    warned = connection.sql(
        """
        select rule, count(*)
        from (
            select unnest(string_split(rules, ',')) as rule
            from judged anti join refused using (line, part)
        )
        group by rule order by rule
        """
    ).fetchall()
    used = [n for n in MEASURES if any(n in b for b in (mapping.columns, *mapping.unpivot))]
    counts = ", ".join(f"count(*) filter (n_{n} is null and fault_column is null)" for n in used)
    (empty,) = connection.sql(f"select {counts} from cells").fetchall()  # noqa: S608
    ((first, last),) = connection.sql(
        "select min(n_date)::date, max(n_date)::date "
        "from cells anti join refused using (line, part)"
    ).fetchall()
    unmapped = connection.sql(
        "select unknown_channel, count(*) from cells where unknown_channel is not null "
        "group by all order by 2 desc, 1"
    ).fetchall()
    read = {name.casefold() for name in mapping.sources}
    return LoadResult(
        load_no=0,
        source=mapping.source,
        file=name,
        sha256=delivery.sha256,
        delivered=delivered,
        accepted=accepted,
        refused=refused,
        refused_by=dict(sorted(refused_by.items())),
        warned_by=dict(warned),
        faults=_faults(connection),
        absent=tuple(
            n for n in CANONICAL if not any(n in b for b in (mapping.columns, *mapping.unpivot))
        ),
        ignored=tuple(n for n in delivery.header if n.casefold() not in read),
        empty={n: number for n, number in zip(used, empty, strict=True) if number},
        unmapped=dict(unmapped),
        dates=(first, last) if first else None,
    )


def _faults(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    columns = ", ".join(f"n_{name}" for name in CANONICAL)
    rows = connection.sql(
        f"""
        select refused.line, refused.name, refused.rule, refused.value, currency, {columns}
        from refused left join cells using (line, part)
        order by line, part, rule limit {MAX_SHOWN}
        """  # noqa: S608
    ).fetchall()
    names = ("currency", *CANONICAL)
    return tuple(
        _fault(line, name, rule, value, dict(zip(names, rest, strict=True)))
        for line, name, rule, value, *rest in rows
    )


def _fault(line: int, name: str, rule: str, value: str, row: dict[str, str | None]) -> str:
    if rule == "empty":
        return f"line {line}, column {name}: the cell is empty"
    if rule in EXPECTED:
        return f"line {line}, column {name}: '{value}' {EXPECTED[rule]}"
    if rule in _MEANING:
        column = _RULE_COLUMN[rule]
        if rule == "huge_value":
            column = max(MEASURES, key=lambda name: abs(Decimal(row[name] or 0)))
        return f"line {line}, column {column}: '{row[column]}': {_MEANING[rule]}"
    return f"line {line}: {rule.replace('_', ' ')}: {value!r}"


def _check_share(path: Path, result: LoadResult, mapping: Mapping) -> None:
    share = result.refused / max(1, result.delivered)
    if result.accepted and share <= mapping.max_refused_share:
        return
    by_rule = ", ".join(f"{number:,} {rule}" for rule, number in result.refused_by.items())
    more = result.refused - len(result.faults)
    lines = "\n".join(f"  {fault}" for fault in result.faults)
    reason = (
        f"that is {share:.1%}, above the {mapping.max_refused_share:.1%} "
        f"that this source allows (max_refused_share)"
        if result.accepted
        else "that is every row"
    )
    raise FileRefusedError(
        f"{path}: {result.refused:,} of {result.delivered:,} rows would be refused ({by_rule}); "
        f"{reason}. Nothing was taken over\n{lines}"
        + (f"\n  … and {more:,} more" if more > 0 else "")
    )


def _write(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    delivery: Delivery,
    mapping: Mapping,
    name: str,
    load_no: int,
    delivered: int,
) -> None:
    """Append every delivered row in one commit, and check that the table took them all."""
    # A refused row keeps the whole line, also the columns that nothing reads.
    connection.execute(
        f"""
        create or replace table texts as
        select line, {row_as_json(delivery, mapping)} as whole
        from delivered where line in (select line from refused)
        """  # noqa: S608
    )
    cells = ", ".join(f"n_{n} as {n}" for n in CANONICAL)
    nothing = ", ".join(f"null::varchar as {n}" for n in CANONICAL)
    reader = connection.sql(
        f"""
        select
            {load_no}::bigint as load_no, cells.line as source_line, cells.part, {cells},
            currency, row_version,
            coalesce(copy_no, 1)::int as copy_no, coalesce(key_rows, 1)::int as key_rows,
            coalesce(key_rank, 1)::int as key_rank,
            fault_column, fault_rule, fault_value, coalesce(raw_text, whole) as raw_text
        from cells
        left join repeats using (line, part)
        left join texts on cells.line = texts.line
        union all
        select
            {load_no}::bigint, line, 0, {nothing}, null, null, 1, 1, 1, '', rule, value, raw_text
        from broken
        """  # noqa: S608
    ).to_arrow_reader(100_000)
    path = str(ledgers.table_path(paths, ledgers.RAW_TABLE))
    # Small row groups, so that more than one core can read the file of one load.
    properties = WriterProperties(max_row_group_size=131_072)
    write_deltalake(path, reader, mode="append", writer_properties=properties)
    written = DeltaTable(path).history(1)[0]["operationMetrics"]
    rows = int(written.get("num_added_rows", -1))
    if rows != delivered:
        raise AssertionError(
            f"{name}: {delivered} rows delivered, {rows} written: {json.dumps(written)}"
        )
