"""Campaigns grouped by what they return, what they spend and how they convert.

Clusters are published only if they are tighter than chance, stable under resampling and still
there in the next weeks; otherwise a documented rule decides, and the table says so.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from . import CODE_VERSION, clusters, naming, schema
from .panel import COUNTS, Snapshot, clean_rows, read_snapshot
from .revenue import _cannot, _versions, run_id
from .settings import SegmentSettings, as_json

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Array = np.ndarray
MIN_BOOTSTRAP = 0.80  # agreement when campaigns are drawn again; below, borders are accidents
MIN_PERSISTENCE = 0.40  # agreement of the second half with the first; noise reaches 0.0
SMALLEST_SHARE = 0.05
SMALLEST = 3
PREVIOUS_DAYS = 28
BORDERLINE = 0.15  # centre at most 15 % nearer than the second: the campaign could be either
CHANCE = 0.1  # agreement between two halves below which even the rule says nothing
RULE_K = 0  # the row of segment_quality that stands for the rule
NONE = "Insufficient data"
MEASURES = [*COUNTS, "cost", "revenue"]


@dataclasses.dataclass(frozen=True)
class Window:
    """Campaigns of one window, sorted by campaign_id.

    Attributes:
        table: campaign_id, active_days, daily_cost, roas, cvr and the measures (NULL kept).
        eligible: campaigns with enough days, spend and revenue known.
        logs: n x p log features; ``features``: p names.
    """

    table: pd.DataFrame
    eligible: Array
    logs: Array
    features: tuple[str, ...]


def window_of(
    frame: pd.DataFrame, campaigns: list[str], start: pd.Timestamp, end: pd.Timestamp, min_days: int
) -> Window:
    """Measures and features of all campaigns from ``start`` to ``end`` (both included)."""
    part = frame[(frame["date"] >= start) & (frame["date"] <= end)]
    sums = part.groupby("campaign_id")[MEASURES].sum(min_count=1).reindex(campaigns)
    days = part[part["cost"] > 0].groupby("campaign_id")["date"].nunique().reindex(campaigns)
    table = sums.reset_index(names="campaign_id")
    table["active_days"] = days.fillna(0).astype(int).to_numpy()
    cost = table["cost"].fillna(0.0).clip(lower=0.0).to_numpy()
    revenue = table["revenue"].fillna(0.0).clip(lower=0.0).to_numpy()
    daily = np.where(table["active_days"] > 0, cost / np.maximum(table["active_days"], 1), 0.0)
    table["daily_cost"] = daily
    eligible = (table["active_days"].to_numpy() >= min_days) & (cost > 0)
    total_cost = cost[eligible].sum()
    roas = revenue[eligible].sum() / total_cost if total_cost > 0 else 0.0
    # one median day of spend at the average return: a campaign of two cheap days says little
    pseudo = float(np.median(daily[eligible])) if eligible.any() else 0.0
    own = (revenue + pseudo * roas) / np.maximum(cost + pseudo, 1e-12)
    logs = [np.log(np.maximum(own, 1e-6)), np.log(np.maximum(daily, 1e-6))]
    names = ["roas", "spend"]
    clicks = table["clicks"].fillna(0.0).to_numpy()
    conversions = table["conversions"].fillna(0.0).to_numpy()
    if clicks[eligible].sum() > 0 and conversions[eligible].sum() > 0:
        cvr = conversions[eligible].sum() / clicks[eligible].sum()
        # five conversions' worth of clicks at the average rate
        more = 5.0 / cvr
        logs.append(np.log(np.maximum((conversions + 5.0) / (clicks + more), 1e-9)))
        names.append("cvr")
    return Window(table, eligible, np.column_stack(logs), tuple(names))


def standardise(logs: Array, mean: Array, sd: Array) -> Array:
    """Standardised and clipped at 3 sd, so that one giant is not a cluster."""
    return np.asarray(np.clip((logs - mean) / np.where(sd > 0, sd, 1.0), -3, 3))


def judge(
    x: Array, first: Array, second: Array, settings: SegmentSettings
) -> tuple[pd.DataFrame, dict[int, Array]]:
    """Every candidate k with its checks, and its centres.

    Args:
        x: n x p standardised features of the window.
        first: the same of the window's first half (campaigns active in both halves);
        second: of its second half, same rows as ``first``, same scale.
        settings: candidates, seeds, resamples.
    """
    rows, centres = [], {}
    n = len(x)
    floor = max(SMALLEST, int(np.ceil(SMALLEST_SHARE * n)))
    for k in range(settings.k_min, settings.k_max + 1):
        if k >= n:
            continue
        rng = np.random.default_rng([settings.seed, k])
        centres[k] = clusters.kmeans(x, k, rng, settings.restarts)
        label = clusters.assign(x, centres[k])
        own = clusters.silhouette(x, label)
        null, agreement = [], []
        for _ in range(settings.resamples):
            mixed = np.column_stack([rng.permutation(column) for column in x.T])
            found = clusters.kmeans(mixed, k, rng, 2)
            null.append(clusters.silhouette(mixed, clusters.assign(mixed, found)))
            drawn = clusters.kmeans(x[rng.integers(n, size=n)], k, rng, 3)
            agreement.append(clusters.adjusted_rand(label, clusters.assign(x, drawn)))
        persistence = None
        if len(first) > k:
            early = clusters.kmeans(first, k, rng, settings.restarts)
            persistence = clusters.adjusted_rand(
                clusters.assign(first, early), clusters.assign(second, early)
            )
        smallest = int(np.bincount(label, minlength=k).min())
        rows.append(
            {
                "k": k,
                "within_cost": clusters.cost_of(x, centres[k]),
                "silhouette": own,
                "silhouette_null_95": float(np.quantile(null, 0.95)),
                "ari_bootstrap": float(np.mean(agreement)),
                "ari_bootstrap_p10": float(np.quantile(agreement, 0.1)),
                "persistence_ari": persistence,
                "smallest_segment": smallest,
                "reason": _refusal(
                    own,
                    float(np.quantile(null, 0.95)),
                    float(np.mean(agreement)),
                    persistence,
                    smallest,
                    floor,
                ),
            }
        )
    return pd.DataFrame(rows), centres


def _refusal(
    own: float,
    null95: float,
    agreement: float,
    persistence: float | None,
    smallest: int,
    floor: int,
) -> str:
    """Why a candidate is refused; empty if it passed everything."""
    if smallest < floor:
        return f"refused: the smallest segment has {smallest} campaigns, {floor} are needed"
    if own <= null95:
        return f"refused: silhouette {own:.2f} is not above chance ({null95:.2f})"
    if agreement < MIN_BOOTSTRAP:
        return f"refused: resampled campaigns agree only {agreement:.2f}, {MIN_BOOTSTRAP} needed"
    if persistence is None:
        return "refused: too few campaigns in both halves to see whether segments last"
    if persistence < MIN_PERSISTENCE:
        return f"refused: the next weeks agree only {persistence:.2f}, {MIN_PERSISTENCE} needed"
    return ""


def segment(spark: SparkSession, kpi: DataFrame, settings: SegmentSettings) -> DataFrame:
    """The tidy Spark table of the dbt model ``ml_segments``."""
    frame = segment_tables(spark, read_snapshot(kpi, 1_000_000), settings)
    return schema.to_spark(spark, frame, schema.SEGMENT_COLUMNS)


def segment_tables(
    spark: SparkSession | None, snapshot: Snapshot, settings: SegmentSettings
) -> pd.DataFrame:
    """All output rows as one pandas frame in a fixed order."""
    run: dict[str, Any] = {
        "output": "model_runs",
        "run_model": "segments",
        "data_version": snapshot.data_hash,
        "code_version": CODE_VERSION,
        "parameters": as_json(settings),
        "versions": _versions(),
        "n_rows": snapshot.n_rows,
        "first_date": snapshot.first_date,
        "last_date": snapshot.last_date,
    }
    end = settings.as_of_date or snapshot.last_date
    reason = _cannot(snapshot)
    frames: list[pd.DataFrame] = []
    if reason is None:
        frames, verdict, reason, n = _segment(
            spark, snapshot.frame, pd.Timestamp(str(end)), settings
        )
        run |= {"verdict": verdict, "n_campaigns": n, "n_days": settings.window_days}
    else:
        run |= {"verdict": "insufficient_data"}
    frames.append(pd.DataFrame([run | {"reason": reason}]))
    identity = run_id(snapshot, as_json(settings))
    for frame in frames:
        frame["run_id"], frame["as_of_date"] = identity, end
    return schema.tidy(frames, schema.SEGMENT_COLUMNS)


def _segment(
    spark: SparkSession | None, frame: pd.DataFrame, end: pd.Timestamp, settings: SegmentSettings
) -> tuple[list[pd.DataFrame], str, str, int]:
    """Output frames, verdict, reason, number of campaigns."""
    campaigns = sorted(frame["campaign_id"].unique())
    frame, notes = clean_rows(frame)
    start = end - pd.Timedelta(days=settings.window_days - 1)
    half = end - pd.Timedelta(days=settings.window_days // 2)
    now = window_of(frame, campaigns, start, end, settings.min_active_days)
    early = window_of(frame, campaigns, start, half, settings.min_active_days // 2)
    late = window_of(
        frame, campaigns, half + pd.Timedelta(days=1), end, settings.min_active_days // 2
    )
    back = pd.Timedelta(days=PREVIOUS_DAYS)
    before = window_of(frame, campaigns, start - back, end - back, settings.min_active_days)
    total = now.table.loc[now.eligible, ["cost", "revenue"]].clip(lower=0.0).sum()
    if not now.eligible.any():
        reason = f"no campaign has {settings.min_active_days} days with spend in the window"
        return (
            _tables(frame, now, None, None, None),
            "insufficient_data",
            reason,
            len(campaigns),
        )
    if not total["revenue"] > 0:
        reason = "all revenue in the window is zero: return on spend tells nothing apart"
        return (
            _tables(frame, now, None, None, None),
            "insufficient_data",
            reason,
            len(campaigns),
        )
    target = settings.target_roas or float(total["revenue"] / total["cost"])
    median = float(np.median(now.table.loc[now.eligible, "daily_cost"]))
    mean, sd = now.logs[now.eligible].mean(axis=0), now.logs[now.eligible].std(axis=0)
    x = standardise(now.logs, mean, sd)
    quality = pd.DataFrame()
    centres: dict[int, Array] = {}
    n = int(now.eligible.sum())
    chosen = None
    if n < settings.min_campaigns:
        reason = f"{n} campaigns with enough data, {settings.min_campaigns} needed: a rule decides"
    else:
        width = len(now.features)
        same = early.features == late.features == now.features
        both = now.eligible & early.eligible & late.eligible
        one, two = (early.logs, late.logs) if same else (early.logs[:, :2], late.logs[:, :2])
        width = one.shape[1] if same else 2
        first = standardise(one[both], mean[:width], sd[:width])
        second = standardise(two[both], mean[:width], sd[:width])
        quality, centres = judge(x[now.eligible], first, second, settings)
        passed = quality[quality["reason"] == ""]
        if len(passed):
            # tightness alone keeps splitting real groups; weighted by stability it stops in time
            worth = passed["silhouette"] * passed["ari_bootstrap"]
            chosen = int(passed["k"].to_numpy()[int(worth.to_numpy().argmax())])
            reason = f"{chosen} segments: tighter than chance, stable, and still there later"
        else:
            reason = "no number of segments passed every check: a rule decides"
        kept = quality["k"] == chosen
        quality["is_chosen"] = kept
        quality.loc[kept, "reason"] = "kept: tightest and most stable of those that passed"
        other = (quality["reason"] == "") & ~kept
        quality.loc[other, "reason"] = "passed, but another k is tighter and more stable together"
        quality["features"] = ", ".join(now.features)
    if chosen is not None:
        base = centres[chosen]
        if spark is not None:
            cost = clusters.cost_of(x[now.eligible], base)
            base = clusters.mllib_kmeans(spark, x[now.eligible], chosen, settings.seed, cost)
        result = _by_cluster(now, x, base, mean, sd, target, median)
        earlier = None
        if before.features == now.features:
            moved = clusters.assign(standardise(before.logs, mean, sd), base)
            earlier = np.array([result.names[i].name for i in moved], dtype=object)
            earlier[~before.eligible] = None
    else:
        result = _by_rule(now, target, median)
        rule_then = _by_rule(before, target, median)
        earlier = np.array([name.name if name else None for name in rule_then.of], dtype=object)
        earlier[~before.eligible] = None
        quality = pd.concat(
            [quality, _rule_quality(early, late, target, median)], ignore_index=True
        )
    verdict = "segments"
    if chosen is None:
        verdict = "rule" if _lasting(quality) else "no_signal"
    if verdict == "no_signal":
        reason += "; nor does the rule's result last into the next weeks"
    frames = _tables(frame, now, result, earlier, quality)
    return frames, verdict, "; ".join([reason, *notes]), len(campaigns)


def _lasting(quality: pd.DataFrame) -> bool:
    """False only if the rule's persistence was measured and is no better than chance."""
    value = quality.loc[quality["k"] == RULE_K, "persistence_ari"].dropna()
    return not len(value) or float(value.iloc[0]) >= CHANCE


def _rule_quality(early: Window, late: Window, target: float, median: float) -> pd.DataFrame:
    """Persistence of the rule itself."""
    both = early.eligible & late.eligible
    value = None
    if both.sum() >= 8:
        codes = []
        for window in (early, late):
            part = _by_rule(window, target, median).of
            codes.append(np.array([part[i].code for i in np.flatnonzero(both)]))
        value = clusters.adjusted_rand(codes[0], codes[1])
    return pd.DataFrame(
        [
            {
                "k": RULE_K,
                "features": "rule: target return x median spend",
                "is_chosen": True,
                "persistence_ari": value,
                "reason": "the rule decides: no clustering was kept",
            }
        ]
    )


@dataclasses.dataclass(frozen=True)
class Result:
    """Names of the segments, the name of each campaign (None: not eligible), and distances."""

    names: list[naming.Name]
    of: list[Any]
    distance: Array
    margin: Array
    silhouette: dict[str, float]
    method: str
    agrees: Array


def _absolute(window: Window) -> tuple[Array, Array]:
    """Shrunk ROAS and daily spend of each campaign."""
    return np.exp(window.logs[:, 0]), np.exp(window.logs[:, 1])


def _by_rule(window: Window, target: float, median: float) -> Result:
    """Quadrant of each campaign's own return and spend."""
    roas, spend = _absolute(window)
    of = [
        naming.quadrant(r, s, target, median) if ok else None
        for r, s, ok in zip(roas, spend, window.eligible, strict=True)
    ]
    nothing = np.full(len(of), np.nan)
    # how far from the nearest border, in log units
    edge = np.minimum(
        np.abs(np.log(roas / target)), np.abs(np.log(np.maximum(spend, 1e-9) / median))
    )
    return Result(
        list(naming.QUADRANTS.values()), of, nothing, edge, {}, "rule", np.full(len(of), True)
    )


def _by_cluster(
    window: Window, x: Array, centres: Array, mean: Array, sd: Array, target: float, median: float
) -> Result:
    """Nearest centre of each campaign, centres named in absolute terms."""
    absolute = np.exp(centres * np.where(sd > 0, sd, 1.0) + mean)
    names = naming.name_segments(
        absolute[:, 0], absolute[:, 1], centres, list(window.features), target, median
    )
    gap = clusters.distances(x, centres)
    label = gap.argmin(axis=1)
    ordered = np.sort(gap, axis=1)
    margin = 1.0 - ordered[:, 0] / np.where(ordered[:, 1] > 0, ordered[:, 1], 1.0)
    roas, spend = _absolute(window)
    agrees = np.array(
        [
            naming.quadrant(r, s, target, median).code == names[j].code[:2]
            for r, s, j in zip(roas, spend, label, strict=True)
        ]
    )
    inside = x[window.eligible]
    tight = {}
    for j, name in enumerate(names):
        tight[name.name] = _one_silhouette(inside, label[window.eligible], j)
    of = [names[j] if ok else None for j, ok in zip(label, window.eligible, strict=True)]
    return Result(names, of, ordered[:, 0], margin, tight, "kmeans", agrees)


def _one_silhouette(x: Array, label: Array, j: int) -> float:
    """Mean silhouette of the members of one cluster."""
    from .clusters import MAX_SILHOUETTE_ROWS

    members = np.flatnonzero(label == j)[:MAX_SILHOUETTE_ROWS]
    if len(members) < 2:
        return 0.0
    values = []
    for i in members:
        gap = np.sqrt(((x - x[i]) ** 2).sum(axis=1))
        size = np.bincount(label)
        total = np.bincount(label, gap, minlength=len(size))
        own = total[j] / max(size[j] - 1, 1)
        others = [total[c] / size[c] for c in range(len(size)) if c != j and size[c]]
        other = min(others) if others else own
        top = max(own, other)
        values.append((other - own) / top if top > 0 else 0.0)
    return float(np.mean(values))


def _kpis(sums: pd.DataFrame) -> pd.DataFrame:
    """Ratios of sums, NULL where the denominator is 0 or unknown."""

    def ratio(top: str, bottom: str, factor: float = 1.0) -> pd.Series:
        below = sums[bottom].where(sums[bottom] > 0)
        return factor * sums[top] / below

    return pd.DataFrame(
        {
            "ctr": ratio("clicks", "impressions"),
            "cvr": ratio("conversions", "clicks"),
            "cpl": ratio("cost", "leads"),
            "cpa": ratio("cost", "conversions"),
            "cpc": ratio("cost", "clicks"),
            "cpm": ratio("cost", "impressions", 1000.0),
            "roi": ratio("revenue", "cost") - 1.0,
            "roas": ratio("revenue", "cost"),
            "aov": ratio("revenue", "conversions"),
        }
    )


def _tables(
    frame: pd.DataFrame,
    now: Window,
    result: Result | None,
    earlier: Array | None,
    quality: pd.DataFrame | None,
) -> list[pd.DataFrame]:
    """campaign_segments, segment_profiles and segment_quality rows."""
    table = now.table
    about = frame.groupby("campaign_id").agg(
        campaign_name=("campaign_name", "last"),
        channel=("channel", lambda c: c.iloc[0] if c.nunique() == 1 else "several"),
    )
    n = len(table)
    of = result.of if result is not None else [None] * n
    ok = np.array([name is not None for name in of])
    margin = result.margin if result is not None else np.full(n, np.nan)
    members = pd.DataFrame(
        {
            "output": "campaign_segments",
            "campaign_id": table["campaign_id"],
            "campaign_name": about.reindex(table["campaign_id"])["campaign_name"].to_numpy(),
            "channel": about.reindex(table["campaign_id"])["channel"].to_numpy(),
            "performance_segment": [name.name if name else NONE for name in of],
            "segment_code": [name.code if name else "S0" for name in of],
            "meaning": [
                name.meaning if name else "Too few days with spend in the window" for name in of
            ],
            "suggested_action": [name.action if name else "Wait for more data" for name in of],
            "method": np.where(ok, result.method if result is not None else "none", "none"),
            "status": np.where(ok, "assigned", "insufficient_data"),
            "distance": np.where(ok, result.distance if result is not None else np.nan, np.nan),
            "margin_to_second": np.where(ok, margin, np.nan),
            "confidence": np.where(
                ok, np.where(margin >= BORDERLINE, "sure", "borderline"), "none"
            ),
            "previous_segment": earlier if earlier is not None else [None] * n,
            "agrees_with_name": [
                bool(result.agrees[i]) if result and ok[i] else None for i in range(n)
            ],
            "active_days": table["active_days"],
            "daily_cost": table["daily_cost"],
            "cost": table["cost"],
            "revenue": table["revenue"],
        }
    )
    members["is_changed"] = [
        None if not good or old is None else bool(old != new)
        for good, old, new in zip(
            ok, members["previous_segment"], members["performance_segment"], strict=True
        )
    ]
    ratios = _kpis(table)
    members["roas"], members["roi"], members["cvr"] = ratios["roas"], ratios["roi"], ratios["cvr"]
    grouped = members[["segment_code", "performance_segment", "meaning", "suggested_action"]].copy()
    profile = table[MEASURES].groupby(members["segment_code"]).sum(min_count=1)
    info = grouped.drop_duplicates("segment_code").set_index("segment_code")
    profile = profile.join(info).sort_index().reset_index()
    profile["n_campaigns"] = (
        members["segment_code"].value_counts().reindex(profile["segment_code"]).to_numpy()
    )
    profile = pd.concat([profile, _kpis(profile)], axis=1)
    profile["cost_share"] = profile["cost"] / max(profile["cost"].sum(), 1e-12)
    revenue = profile["revenue"].sum()
    profile["revenue_share"] = profile["revenue"] / revenue if revenue > 0 else np.nan
    profile["output"] = "segment_profiles"
    profile["method"] = result.method if result is not None else "none"
    profile.loc[profile["segment_code"] == "S0", "method"] = "none"
    if result is not None:
        profile["silhouette"] = profile["performance_segment"].map(result.silhouette)
        agree = pd.Series(result.agrees.astype(float)).where(ok)
        weight = table["cost"].where(ok)
        code = members["segment_code"]
        profile["name_agreement"] = profile["segment_code"].map(agree.groupby(code).mean())
        by_cost = (agree * weight).groupby(code).sum() / weight.groupby(code).sum()
        profile["name_agreement_by_cost"] = profile["segment_code"].map(by_cost)
    real = profile["segment_code"] != "S0"
    profile["roi_rank"] = profile["roi"].where(real).rank(ascending=False, method="first")
    frames = [members, profile]
    if quality is not None and len(quality):
        frames.append(quality.assign(output="segment_quality"))
    return frames
