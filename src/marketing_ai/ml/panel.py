"""From the KPI table to dense arrays: the only place that reads rows from Spark."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Array = np.ndarray
KEYS = ["campaign_id", "channel", "segment"]
COUNTS = ["impressions", "clicks", "leads", "conversions"]
# Fifty times what 99 % of days reach, in revenue and in ROAS, is a slip of the pen, not a good day.
SLIP_FACTOR = 50.0
MIN_SLIP_ROWS = 20


@dataclasses.dataclass(frozen=True)
class Panel:
    """Series x day arrays; a day without a row holds zeros.

    Attributes:
        keys: S rows of campaign_id, channel, segment, campaign_name, sorted by the first three.
        dates: D consecutive days.
        cost: S x D money.
        revenue: S x D money (for scoring).
        revenue_fit: S x D money, refunds as 0 (for learning).
        counts: name -> S x D.
        notes: what was left out or capped, in words.
    """

    keys: pd.DataFrame
    dates: pd.DatetimeIndex
    cost: Array
    revenue: Array
    revenue_fit: Array
    counts: dict[str, Array]
    notes: tuple[str, ...] = ()

    @property
    def n_series(self) -> int:
        """Number of campaign x channel x segment series."""
        return len(self.keys)

    @property
    def n_days(self) -> int:
        """Number of calendar days."""
        return len(self.dates)

    def until(self, day: int) -> Panel:
        """The panel as it was known at the end of day index ``day``."""
        end = day + 1
        return dataclasses.replace(
            self,
            dates=self.dates[:end],
            cost=self.cost[:, :end],
            revenue=self.revenue[:, :end],
            revenue_fit=self.revenue_fit[:, :end],
            counts={name: values[:, :end] for name, values in self.counts.items()},
        )


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What was read, before any modelling."""

    frame: pd.DataFrame
    data_hash: str
    n_rows: int
    n_undated: int
    n_without_revenue: int
    first_date: dt.date | None
    last_date: dt.date | None
    n_campaigns: int


def read_snapshot(kpi: DataFrame, max_rows: int) -> Snapshot:
    """Aggregate in Spark to one row per series and day, and collect the most recent rows.

    Sums are exact decimals, so neither row order nor partitioning can change a digit.

    Args:
        kpi: rows with the columns of ``marketing_kpi``.
        max_rows: at most about this many series-days are collected, the oldest left out.
    """
    from pyspark.sql import functions as F  # noqa: N812

    money = "decimal(38,4)"
    base = kpi.select(
        *[F.coalesce(F.col(key).cast("string"), F.lit("unknown")).alias(key) for key in KEYS],
        F.col("campaign_name").cast("string").alias("campaign_name")
        if "campaign_name" in kpi.columns
        else F.lit(None).cast("string").alias("campaign_name"),
        F.col("date").cast("date").alias("date"),
        *[
            (F.col(name) if name in kpi.columns else F.lit(None)).cast("bigint").alias(name)
            for name in COUNTS
        ],
        *[
            F.when(F.abs(F.col(name)) < 1e20, F.col(name)).cast(money).alias(name)
            for name in ("cost", "revenue")
        ],
    )
    row_hash = F.xxhash64(*base.columns)
    groups = base.groupBy(*KEYS, "date").agg(
        F.max("campaign_name").alias("campaign_name"),
        *[F.sum(name).cast("double").alias(name) for name in COUNTS],
        F.sum("cost").cast("double").alias("cost"),
        F.sum("revenue").cast("double").alias("revenue"),
        F.count(F.lit(1)).alias("n"),
        F.count("revenue").alias("n_revenue"),
        # two sums that no order of rows can change: a hash of the rows
        F.bit_xor(row_hash).alias("hash_xor"),
        F.sum(F.pmod(row_hash, F.lit(2**31 - 1))).alias("hash_sum"),
    )
    frame = _collect(groups.limit(max_rows + 1))
    if len(frame) > max_rows:
        return _trimmed(groups, max_rows)
    return _snapshot(frame, frame)


def _collect(groups: DataFrame) -> pd.DataFrame:
    """Collect by Arrow where the engine has it (Spark 4), else row by row."""
    frame = groups.toArrow().to_pandas() if hasattr(groups, "toArrow") else groups.toPandas()
    frame["date"] = pd.to_datetime(frame["date"])
    return frame


def _trimmed(groups: DataFrame, max_rows: int) -> Snapshot:
    """Totals of all days, and the rows of the newest days that fit."""
    from pyspark.sql import functions as F  # noqa: N812

    days = _collect(
        groups.groupBy("date").agg(
            F.count(F.lit(1)).alias("series"),
            F.sum("n").alias("n"),
            F.sum("n_revenue").alias("n_revenue"),
            F.bit_xor("hash_xor").alias("hash_xor"),
            F.sum("hash_sum").alias("hash_sum"),
        )
    ).sort_values("date", ascending=False)
    total = days["series"].where(days["date"].notna(), 0).cumsum()
    keep = days.loc[(total <= max_rows) & days["date"].notna(), "date"]
    start = keep.min() if len(keep) else days["date"].max()
    return _snapshot(_collect(groups.where(F.col("date") >= F.lit(start.date()))), days)


def _snapshot(rows: pd.DataFrame, totals: pd.DataFrame) -> Snapshot:
    """Sorted rows, and what is known of everything that was read."""
    frame = rows[rows["date"].notna()].sort_values([*KEYS, "date"], kind="stable")
    frame = frame.reset_index(drop=True)[
        [*KEYS, "date", "campaign_name", *COUNTS, "cost", "revenue"]
    ]
    mixed = int(np.bitwise_xor.reduce(totals["hash_xor"].to_numpy(dtype="int64"), initial=0))
    n_rows = int(totals["n"].sum())
    dates = totals["date"].dropna()
    return Snapshot(
        frame=frame,
        data_hash=f"{mixed & (2**64 - 1):016x}-{int(totals['hash_sum'].sum())}-{n_rows}",
        n_rows=n_rows,
        n_undated=int(totals.loc[totals["date"].isna(), "n"].sum()),
        n_without_revenue=n_rows - int(totals["n_revenue"].sum()),
        first_date=dates.min().date() if len(dates) else None,
        last_date=dates.max().date() if len(dates) else None,
        n_campaigns=int(frame["campaign_id"].nunique()),
    )


def clean_rows(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Rows that can be learned from, and what was left out or capped, in words.

    Left out: rows without a date or with unknown revenue. A negative cost counts as 0; a revenue
    and ROAS far beyond all others is capped, because one slip would outweigh everything else.

    Args:
        frame: KEYS, date, campaign_name (optional), COUNTS (optional), cost, revenue; any order.
    """
    notes: list[str] = []
    data = frame.copy()
    for name in [*COUNTS, "cost", "revenue"]:
        if name not in data:
            data[name] = np.nan
        data[name] = pd.to_numeric(data[name], errors="coerce").astype(float)
        data[name] = data[name].replace([np.inf, -np.inf], np.nan)
    if "campaign_name" not in data:
        data["campaign_name"] = None
    data["date"] = pd.to_datetime(data["date"])
    unknown = data["date"].isna() | data["revenue"].isna()
    if unknown.any():
        notes.append(f"{int(unknown.sum())} rows without a date or without revenue left out")
        data = data[~unknown]
    negative = data["cost"] < 0
    if negative.any():
        notes.append(f"{int(negative.sum())} rows with negative cost counted as cost 0")
    data["cost"] = data["cost"].fillna(0.0).clip(lower=0.0)
    paid = data[(data["revenue"] > 0) & (data["cost"] > 0)]
    if len(paid) >= MIN_SLIP_ROWS:
        top_revenue = float(np.quantile(paid["revenue"], 0.99, method="lower"))
        top_roas = float(np.quantile(paid["revenue"] / paid["cost"], 0.99, method="lower"))
        beyond = SLIP_FACTOR * top_roas * data["cost"]
        slip = (data["revenue"] > SLIP_FACTOR * top_revenue) & (data["revenue"] > beyond)
        if slip.any():
            notes.append(f"{int(slip.sum())} days with implausible revenue capped")
            data["revenue"] = data["revenue"].mask(slip, top_roas * data["cost"])
    return data, notes


def build_panel(frame: pd.DataFrame, as_of: dt.date | None = None) -> Panel:
    """Dense panel from tidy series-day rows.

    Args:
        frame: see :func:`clean_rows`.
        as_of: last day to keep; default the last day in the data.
    """
    if as_of is not None:
        frame = frame[pd.to_datetime(frame["date"]) <= pd.Timestamp(as_of)]
    data, notes = clean_rows(frame)
    names = data.groupby(KEYS, sort=True)["campaign_name"].last().reset_index()
    if data.empty:
        empty = np.zeros((0, 0))
        return Panel(names, pd.DatetimeIndex([]), empty, empty, empty, dict.fromkeys(COUNTS, empty))
    last = pd.Timestamp(as_of) if as_of is not None else data["date"].max()
    dates = pd.date_range(data["date"].min(), last, freq="D")
    row = data.groupby(KEYS, sort=True).ngroup().to_numpy()
    col = (data["date"] - dates[0]).dt.days.to_numpy()

    def dense(name: str) -> Array:
        out = np.zeros((len(names), len(dates)))
        np.add.at(out, (row, col), data[name].fillna(0.0).to_numpy(dtype=float))
        return out

    revenue = dense("revenue")
    return Panel(
        keys=names,
        dates=dates,
        cost=dense("cost"),
        revenue=revenue,
        revenue_fit=np.maximum(revenue, 0.0),
        counts={name: dense(name) for name in COUNTS},
        notes=tuple(notes),
    )
