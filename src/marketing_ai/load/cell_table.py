"""The table `cells`: every row of a delivery as canonical text, with its first fault.

A column whose every cell is spelt as we spell it is passed through as it is, and a delivery of
such columns alone is a view, so that a clean file is not copied once more in memory. All other
columns go through the expressions of `cells.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from marketing_ai.load.cells import BLANKS, quoted, rule_of, taken, typed
from marketing_ai.load.mapping import AMOUNTS, CANONICAL, COUNTS, KEY, MEASURES, Cell, Mapping
from marketing_ai.load.reading import Delivery


def make_cells(
    connection: duckdb.DuckDBPyConnection,
    delivery: Delivery,
    mapping: Mapping,
    limit: int | None = None,
) -> None:
    """Make `cells`: line, part, n_<our column>, fault, row_hash, key_hash, raw_text.

    Args:
        connection: holds the table `delivered`.
        delivery: what `read_delivery` returned.
        mapping: of the source.
        limit: of this many lines only, for a preview.
    """
    source = "delivered" if limit is None else f"(from delivered limit {limit})"
    plain = _plain_columns(connection, delivery, mapping, source)
    blocks = [
        _block_sql(delivery, mapping, {**mapping.columns, **block}, part, plain, source)
        for part, block in enumerate(mapping.unpivot or ({},))
    ]
    connection.execute("drop view if exists cells_as_delivered")
    connection.execute("drop table if exists cells_converted")
    if not mapping.unpivot and plain == set(mapping.columns):
        made = "cells_as_delivered"
        connection.execute(f"create view {made} as {blocks[0]}")
    else:
        made = "cells_converted"
        connection.execute(f"create table {made} as {' union all '.join(blocks)}")
    connection.execute(f"create or replace temporary view cells as from {made}")


def row_as_json(delivery: Delivery, mapping: Mapping) -> str:
    """SQL of a whole delivered row as JSON, columns with personal data left out."""
    stored = _stored_columns(delivery, mapping)
    fields = ", ".join(
        f'"{name.replace(chr(34), chr(34) * 2)}" := {column}' for name, column in stored.items()
    )
    return f"to_json(struct_pack({fields}))::varchar"


def _stored_columns(delivery: Delivery, mapping: Mapping) -> dict[str, str]:
    declared = {name.casefold() for name in mapping.personal_data}
    # `columns` may hold a name in two spellings; the delivered one is in the header.
    return {n: delivery.columns[n] for n in delivery.header if n.casefold() not in declared}


def _plain_columns(
    connection: duckdb.DuckDBPyConnection, delivery: Delivery, mapping: Mapping, source: str
) -> set[str]:
    """Our columns whose every cell is empty or already in canonical spelling."""
    candidates: dict[str, str] = {}
    for name, cell in mapping.columns.items():
        if len(cell.sources) == 1:
            column = delivery.columns[cell.sources[0]]
            condition = _is_plain(name, cell, column, mapping, as_text=delivery.as_text)
            if condition:
                # A failed cast gives null, which bool_and would pass over.
                candidates[name] = f"bool_and(coalesce({condition}, false))"
    if not candidates or mapping.unpivot:
        return set()
    (found,) = connection.execute(
        f"select {', '.join(candidates.values())} from {source}"  # noqa: S608
    ).fetchall()
    constants = {name for name, cell in mapping.columns.items() if cell.constant is not None}
    return {name for name, plain in zip(candidates, found, strict=True) if plain} | constants


def _is_plain(name: str, cell: Cell, column: str, mapping: Mapping, *, as_text: bool) -> str | None:
    """SQL that is true for a cell which needs no conversion; None where every cell needs one."""
    reading = mapping.read
    empty = f"{column} is null or {column} = ''"
    if name in COUNTS:
        number = f"try_cast({column} as bigint)::varchar = {column}"
        return f"{empty} or ({number} and not starts_with({column}, '-'))"
    if name in AMOUNTS:
        if cell.divide_by != 1 or (as_text and reading.decimal != "."):
            return None
        number = f"regexp_matches({column}, '^-?[0-9]+(\\.[0-9]*)?$')"
        return f"{empty} or ({number} and try_cast({column} as decimal(18, 4)) is not null)"
    if name == "date":
        if as_text and "%Y-%m-%d" not in reading.dates:
            return None
        return f"coalesce(try_cast({column} as date)::varchar = {column}, false)"
    known = ", ".join(quoted(token) for token in ("", *reading.nulls))
    text = (
        f"strlen({column}) = length({column}) and {column} = trim({column}, {BLANKS}) "
        f"and {column} not in ({known})"
    )
    return text if name == "campaign_id" else f"{empty} or ({text})"


def _block_sql(
    delivery: Delivery,
    mapping: Mapping,
    cells: dict[str, Cell],
    part: int,
    plain: set[str],
    source: str,
) -> str:
    """SQL of the rows that one block of the mapping makes of every line."""
    nulls = mapping.read.nulls
    texts, values, faults, changed = [], [], [], []
    for name in CANONICAL:
        cell = cells.get(name)
        if cell is None:
            values.append(f"null::varchar as n_{name}")
            continue
        if name in plain and cell.source is not None:
            values.append(f"nullif({delivery.columns[cell.sources[0]]}, '') as n_{name}")
            continue
        texts.append(f"{taken(cell, delivery.columns, nulls)}::varchar as x_{name}")
        value = typed(name, cell, f"x_{name}", mapping.read, as_text=delivery.as_text)
        values.append(f"{value} as n_{name}")
        if name in {"campaign_id", "date"}:
            faults.append((f"x_{name} is null", name, "empty"))
        if name in {*MEASURES, "date"}:
            faults.append((f"x_{name} is not null and n_{name} is null", name, rule_of(name)))
        if len(cell.sources) == 1:
            delivered = f"nullif({delivery.columns[cell.sources[0]]}, '')"
            changed.append(f"n_{name} is distinct from {delivered}")
        elif cell.sources:
            changed.append("true")
    for name, extra in (("currency", mapping.currency), ("version", mapping.version)):
        text = taken(extra, delivery.columns, nulls) if extra else "null::varchar"
        texts.append(f"{text} as x_{name}")
    channel, unknown = "coalesce(n_channel, 'unmapped')", "null::varchar"
    if mapping.channels:
        spellings = " ".join(
            f"when {quoted(name.lower())} then {quoted(name)}" for name in mapping.channels
        )
        channel = f"case lower(n_channel) {spellings} else 'unmapped' end"
        unknown = f"case when {channel} = 'unmapped' then n_channel end"
        # The mapping's spelling may replace the delivered one.
        changed.append(f"n_channel is distinct from {channel}")
    raw_text = "null::varchar"
    if changed:
        raw_text = f"case when {' or '.join(changed)} then {row_as_json(delivery, mapping)} end"
    everything = ", ".join(_stored_columns(delivery, mapping).values())
    return f"""
        select
            line, {part} as part, n_campaign_id, n_campaign_name, {channel} as n_channel,
            coalesce(n_segment, 'unmapped') as n_segment, n_date,
            {", ".join(f"n_{name}" for name in MEASURES)},
            {unknown} as unknown_channel,
            upper(x_currency) as currency,
            coalesce(strftime(try_cast(x_version as timestamp), '%Y-%m-%dT%H:%M:%S.%f'),
                x_version) as row_version,
            {_first(faults, lambda name, _: quoted(name))} as fault_column,
            {_first(faults, lambda _, rule: quoted(rule))} as fault_rule,
            {_first(faults, lambda name, _: f"coalesce(x_{name}, '')")} as fault_value,
            hash({everything}, {part}) as row_hash,
            hash(n_campaign_id, {channel}, n_segment, n_date) as key_hash,
            {raw_text} as raw_text
        from (
            select *, {", ".join(values)}
            from (select *, {", ".join(texts)} from {source})
        )
        """  # noqa: S608


def _first(faults: list[tuple[str, str, str]], result: Callable[[str, str], str]) -> str:
    """SQL of something about the first fault of a row, null where it has none."""
    if not faults:
        return "null::varchar"
    branches = (f"when {condition} then {result(name, rule)}" for condition, name, rule in faults)
    return f"case {' '.join(branches)} end"


def find_repeats(connection: duckdb.DuckDBPyConnection) -> None:
    """Make table `repeats`: rows that are copies of others, or share their key with others."""
    connection.execute(
        """
        create or replace table copies as
        select line, part, row_number() over (partition by row_hash order by line) as copy_no
        from cells
        where row_hash in (select row_hash from cells group by row_hash having count(*) > 1)
        """
    )
    keys = ", ".join(f"n_{name}" for name in KEY)
    connection.execute(
        f"""
        create or replace table repeats as
        with shared as (
            select line, part, {keys}
            from cells
            where fault_column is null
                and key_hash in (
                    select key_hash from cells where fault_column is null
                    group by key_hash having count(*) > 1
                )
        ),
        originals as (
            select shared.* from shared left join copies using (line, part)
            where coalesce(copies.copy_no, 1) = 1
        ),
        ranked as (
            select
                line, part,
                count(*) over (partition by {keys}) as key_rows,
                row_number() over (partition by {keys} order by line desc, part desc) as key_rank
            from originals
        )
        select
            line, part,
            coalesce(copy_no, 1) as copy_no,
            coalesce(key_rows, 1) as key_rows,
            coalesce(key_rank, 1) as key_rank
        from (select * from ranked where key_rows > 1) full join copies using (line, part)
        """  # noqa: S608
    )
