"""Seeds as one typed Spark write.

dbt-spark pastes seed values into INSERT statements: an apostrophe breaks them, NULL becomes the
text 'None' and large integers pass through float. Here Arrow parses the file against the column
types of the seed's yml, and one Delta commit replaces the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SIMPLE = {
    "string": pa.string(),
    "int": pa.int32(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


class SeedError(ValueError):
    """A seed file does not hold what its yml declares."""


def arrow_type(name: str) -> pa.DataType:
    """Return the Arrow type of a Spark SQL type name.

    Raises:
        SeedError: a type that seeds don't have.
    """
    name = name.strip().lower()
    if match := re.fullmatch(r"decimal\((\d+),\s*(\d+)\)", name):
        return pa.decimal128(int(match[1]), int(match[2]))
    if name not in _SIMPLE:
        raise SeedError(f"column type '{name}' is not one of {', '.join(_SIMPLE)}, decimal(p, s)")
    return _SIMPLE[name]


def read_seed(path: Path, column_types: Mapping[str, str], delimiter: str = ",") -> pa.Table:
    """Read a seed file exactly: an empty cell is NULL, a quoted empty cell is empty text.

    Args:
        path: CSV file with a header, UTF-8.
        column_types: Spark SQL type by column; columns without one are inferred by Arrow.
        delimiter: field separator.

    Raises:
        SeedError: naming the file, and the line and column where Arrow knows them.
    """
    wanted = {column: arrow_type(kind) for column, kind in column_types.items()}
    try:
        table = pa.csv.read_csv(
            path,
            parse_options=pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types=wanted,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
            # One thread and one block: only then does Arrow name the line of a bad value.
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=1 << 30),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise SeedError(f"{path}: {error}") from error
    if missing := [column for column in wanted if column not in table.column_names]:
        raise SeedError(f"{path}: column {missing[0]} of the yml is not in the file's header")
    duplicates = {c for c in table.column_names if table.column_names.count(c) > 1}
    if duplicates:
        raise SeedError(f"{path}: the header has {sorted(duplicates)[0]} twice")
    return table


def load_seed(
    spark: SparkSession,
    path: str,
    relation: str,
    column_types: str,
    comments: str,
    delimiter: str = ",",
) -> int:
    """Replace `relation` by the file's rows in one Delta commit; called by the seed macro.

    Args:
        spark: the session.
        path: CSV file.
        relation: `schema.table`.
        column_types: JSON object, Spark SQL type by column.
        comments: JSON object, description by column.
        delimiter: field separator.

    Returns:
        The number of rows.

    Raises:
        SeedError: see `read_seed`.
    """
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import StructField, StructType

    table = read_seed(Path(path), json.loads(column_types), delimiter)
    described = json.loads(comments)
    schema = StructType(
        [
            StructField(
                field.name,
                field.dataType,
                True,
                {"comment": described[field.name]} if described.get(field.name) else None,
            )
            for field in from_arrow_schema(table.schema, prefer_timestamp_ntz=False)
        ]
    )
    frame = spark.createDataFrame(table, schema).coalesce(1)
    (
        frame.write.format("delta")
        .mode("overwrite")
        .option("overwriteSchema", "true")
        .saveAsTable(relation)
    )
    return table.num_rows
