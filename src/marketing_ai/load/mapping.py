"""The mapping of one source: how its files are read and which of their columns are ours.

One YAML a source, `sources/<name>.yml`; `marketing inspect` proposes it, a person edits it, and
`marketing load` follows it to the letter. A file whose header has our names needs none.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

COUNTS = ("impressions", "clicks", "leads", "conversions")
AMOUNTS = ("cost", "revenue")
MEASURES = (*COUNTS, *AMOUNTS)
KEY = ("campaign_id", "channel", "segment", "date")
# Columns of marketing_clean, in its order.
CANONICAL = ("campaign_id", "campaign_name", "channel", "segment", "date", *MEASURES)

# What an undeclared source is refused or only warned for; a source may say otherwise.
RULES: dict[str, Literal["refuse", "warn"]] = {
    "negative_cost": "refuse",
    "negative_revenue": "warn",
    "clicks_above_impressions": "refuse",
    "clicks_without_impressions": "warn",
    "conversions_above_clicks": "warn",
    "conversions_without_clicks": "warn",
    "future_date": "refuse",
    "impossible_date": "refuse",
    "huge_value": "refuse",
    "duplicate": "refuse",
    "late_date": "refuse",
    "repeated_key": "refuse",
    "currency_without_rate": "refuse",
}


class MappingError(ValueError):
    """A mapping file is absent, not YAML, or says something that makes no sense."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)


class Reading(_Strict):
    """How the bytes of a file become cells.

    Attributes:
        format: auto goes by the file's ending.
        delimiter: one character; auto: sniffed among comma, semicolon, tab and bar.
        quote: quote character of the CSV.
        encoding: of the text, as Python names it.
        header_row: line (sheet row) of the header; lines above are no data.
        sheet: of an Excel file; None: the first.
        decimal: decimal sign of numbers in text.
        thousands: thousands sign of numbers in text, empty for none.
        dates: strptime formats, tried in this order; one source should need one.
        nulls: cells that mean nothing is known, besides the empty one.
    """

    format: Literal["auto", "csv", "excel", "parquet", "jsonl"] = "auto"
    delimiter: str = "auto"
    quote: str = '"'
    encoding: str = "utf-8"
    header_row: Annotated[int, Field(ge=1)] = 1
    sheet: str | None = None
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    dates: tuple[str, ...] = ("%Y-%m-%d",)
    nulls: tuple[str, ...] = ("NULL", "null", "N/A", "n/a", "NaN", "None", "-", "--")

    @model_validator(mode="after")
    def _signs_differ(self) -> Reading:
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both '{self.decimal}'")
        return self


# Our own spelling: only the empty cell means that nothing is known.
PLAIN = Reading(nulls=())


class Cell(_Strict):
    """Where one of our columns comes from.

    Attributes:
        source: a column of the file, or several that are joined by `separator`.
        separator: between the parts of a composed value.
        constant: the same value for every row, instead of a column.
        divide_by: what an amount is divided by, 1,000,000 for micros.
        round: a count may come with decimals (attributed conversions) and is rounded half up.
    """

    source: str | tuple[str, ...] | None = Field(None, alias="from")
    separator: str = "_"
    constant: str | None = None
    divide_by: Annotated[int, Field(ge=1)] = 1
    round: bool = False

    @field_validator("constant", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return value if value is None else str(value)

    @model_validator(mode="after")
    def _one_origin(self) -> Cell:
        if (self.source is None) == (self.constant is None):
            raise ValueError("say either `from` (a column of the file) or `constant`")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the file's columns that this cell reads."""
        if self.source is None:
            return ()
        return (self.source,) if isinstance(self.source, str) else self.source


class Mapping(_Strict):
    """Everything that `marketing load` has to know about one source.

    Attributes:
        source: name of the source, kept with every row.
        read: how files are read.
        columns: our column -> where it comes from; one that is not named is unknown (null).
        currency: of the amounts; None: the project's own.
        version: a column that tells which of two rows with one key is newer; None: the later load.
        channels: the channels that are known, in the spelling to keep; others become `unmapped`.
            Empty: every channel is taken as it comes.
        unpivot: for files with one column a channel (or month …): each entry maps some of our
            columns anew and makes one row of every line.
        repeated_keys: several rows of one file with one key: refuse them, add them up, or keep
            the last line.
        rules: rule -> refuse or warn, where this source differs from the project.
        max_refused_share: a file with a larger share of refused rows is refused whole.
        lookback_days: rows older than that before the source's newest day are refused as late;
            None: however old, a row replaces what was delivered before.
        personal_data: columns with personal data that may be in the file; never stored.
        questions: what `marketing inspect` could not decide; nothing loads while one is open.
    """

    source: str
    read: Reading = Reading()
    columns: dict[str, Cell]
    currency: Cell | None = None
    version: Cell | None = None
    channels: tuple[str, ...] = ()
    unpivot: tuple[dict[str, Cell], ...] = ()
    repeated_keys: Literal["refuse", "sum", "last"] = "refuse"
    rules: dict[str, Literal["refuse", "warn"]] = {}
    max_refused_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    lookback_days: Annotated[int, Field(ge=1)] | None = None
    personal_data: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()

    @field_validator("questions")
    @classmethod
    def _answered(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value:
            open_questions = "".join(f"\n    {question}" for question in value)
            raise ValueError(
                "not decided yet; answer by taking the # from the right line, then delete the "
                f"question:{open_questions}"
            )
        return value

    @field_validator("source")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", value):
            raise ValueError(
                f"'{value}' is no name for a source: lower case letters, digits and _, "
                "beginning with a letter"
            )
        return value

    @model_validator(mode="after")
    def _makes_sense(self) -> Mapping:
        blocks = [self.columns, *self.unpivot]
        for name in {name for block in blocks for name in block} - set(CANONICAL):
            raise ValueError(f"columns: '{name}' is none of ours; ours are {', '.join(CANONICAL)}")
        for name in set(self.rules) - set(RULES):
            raise ValueError(f"rules: '{name}' is unknown; rules are {', '.join(RULES)}")
        for block in self.unpivot or ({},):
            mapped = self.columns | block
            if "campaign_id" not in mapped:
                raise ValueError("columns: campaign_id is needed; compose it if there is none")
            if not set(MEASURES) & set(mapped):
                raise ValueError(f"columns: not one of {', '.join(MEASURES)} is mapped")
        for name, cell in (item for block in blocks for item in block.items()):
            if cell.divide_by != 1 and name not in AMOUNTS:
                raise ValueError(f"columns.{name}: divide_by is for {' and '.join(AMOUNTS)}")
            if cell.round and name not in COUNTS:
                raise ValueError(f"columns.{name}: round is for {', '.join(COUNTS)}")
            if len(cell.sources) > 1 and name in MEASURES:
                raise ValueError(f"columns.{name}: a number cannot be composed of columns")
        declared = {name.casefold() for name in self.personal_data}
        for name, cell in (item for block in blocks for item in block.items()):
            if {source.casefold() for source in cell.sources} & declared:
                raise ValueError(f"columns.{name}: comes from a column declared as personal data")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the file's columns that anything reads, without repeats."""
        cells = [*self.columns.values(), *(c for block in self.unpivot for c in block.values())]
        cells += [cell for cell in (self.currency, self.version) if cell]
        return tuple(dict.fromkeys(name for cell in cells for name in cell.sources))

    def action(self, rule: str) -> str:
        """`refuse` or `warn`."""
        return self.rules.get(rule, RULES[rule])


def canonical_mapping(source: str, header: tuple[str, ...]) -> Mapping:
    """The mapping of a file that has our own column names, and so promises our own spelling."""
    return Mapping(
        source=source,
        read=PLAIN,
        columns={name: Cell.model_validate({"from": name}) for name in CANONICAL if name in header},
    )


def read_mapping(path: Path) -> Mapping:
    """Read and check a mapping file.

    Raises:
        MappingError: naming the file and the setting.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MappingError(f"{path}: there is no such mapping") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MappingError(f"{path}: this is no YAML ({error})") from None
    if not isinstance(content, dict):
        raise MappingError(f"{path}: expected settings such as `source:` and `columns:`")
    content.setdefault("source", path.stem)
    try:
        return Mapping.model_validate(content)
    except ValidationError as error:
        faults = [
            f"  {'.'.join(str(part) for part in fault['loc']) or 'mapping'}: "
            f"{fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        ]
        raise MappingError(f"{path}: the mapping cannot be used\n" + "\n".join(faults)) from None
