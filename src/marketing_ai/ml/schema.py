"""Columns of the two tidy tables: each row belongs to the table its ``output`` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_TEXT = "string"
_REAL = "double"
_WHOLE = "bigint"
_FLAG = "boolean"
_DAY = "date"

REVENUE_COLUMNS: dict[str, str] = {
    "output": _TEXT,
    "run_id": _TEXT,
    "as_of_date": _DAY,
    # where
    "campaign_id": _TEXT,
    "campaign_name": _TEXT,
    "channel": _TEXT,
    "segment": _TEXT,
    "date": _DAY,
    "horizon_days": _WHOLE,
    # revenue_forecast
    "planned_cost": _REAL,
    "predicted_revenue": _REAL,
    "revenue_lower_80": _REAL,
    "revenue_upper_80": _REAL,
    "predicted_roas": _REAL,
    "actual_revenue": _REAL,
    "model_used": _TEXT,
    "status": _TEXT,
    "evidence": _TEXT,
    "note": _TEXT,
    # response_curves
    "base_cost": _REAL,
    "base_revenue": _REAL,
    "planned_daily_cost": _REAL,
    "reference_daily_cost": _REAL,
    "efficiency": _REAL,
    "own_efficiency": _REAL,
    "forest_factor": _REAL,
    "budget_factor": _REAL,
    "elasticity": _REAL,
    "elasticity_raw": _REAL,
    "elasticity_lower_80": _REAL,
    "elasticity_upper_80": _REAL,
    "carryover": _REAL,
    "daily_cost_p95": _REAL,
    "daily_cost_max": _REAL,
    # budget_scenarios, budget_reallocation
    "scope": _TEXT,
    "scope_id": _TEXT,
    "budget_multiplier": _REAL,
    "budget_change": _REAL,
    "cost": _REAL,
    "revenue": _REAL,
    "delta_cost": _REAL,
    "delta_revenue": _REAL,
    "delta_revenue_lower_80": _REAL,
    "delta_revenue_upper_80": _REAL,
    "roas": _REAL,
    "incremental_roas": _REAL,
    "incremental_roi": _REAL,
    "support": _TEXT,
    "current_cost": _REAL,
    "current_revenue": _REAL,
    # forecast_accuracy
    "model": _TEXT,
    "model_kind": _TEXT,
    "is_published": _FLAG,
    "unit": _TEXT,
    "slice": _TEXT,
    "slice_value": _TEXT,
    "origin_date": _DAY,
    "horizon_weeks": _WHOLE,
    "n_units": _WHOLE,
    "mae": _REAL,
    "wape": _REAL,
    "r2": _REAL,
    "bias": _REAL,
    "coverage_80": _REAL,
    "coverage_80_biggest_third": _REAL,
    "interval_width": _REAL,
    "best_baseline": _TEXT,
    "wape_against_best_baseline": _REAL,
    "verdict": _TEXT,
    # feature_importance
    "feature": _TEXT,
    "meaning": _TEXT,
    "importance_mllib": _REAL,
    "importance_permutation": _REAL,
    "rank": _WHOLE,
    # model_runs
    "run_model": _TEXT,
    "data_version": _TEXT,
    "code_version": _TEXT,
    "parameters": _TEXT,
    "versions": _TEXT,
    "tier": _TEXT,
    "reason": _TEXT,
    "n_rows": _WHOLE,
    "n_campaigns": _WHOLE,
    "n_series": _WHOLE,
    "n_days": _WHOLE,
    "n_origins": _WHOLE,
    "n_training_rows": _WHOLE,
    "first_date": _DAY,
    "last_date": _DAY,
    "drift_status": _TEXT,
    "drift_flags": _TEXT,
    "drift_error_ratio": _REAL,
    "drift_coverage": _REAL,
    "drift_psi_roas": _REAL,
    "drift_psi_channel": _REAL,
}

SEGMENT_COLUMNS: dict[str, str] = {
    "output": _TEXT,
    "run_id": _TEXT,
    "as_of_date": _DAY,
    "campaign_id": _TEXT,
    "campaign_name": _TEXT,
    "channel": _TEXT,
    "performance_segment": _TEXT,
    "segment_code": _TEXT,
    "meaning": _TEXT,
    "suggested_action": _TEXT,
    "method": _TEXT,
    "status": _TEXT,
    "distance": _REAL,
    "margin_to_second": _REAL,
    "confidence": _TEXT,
    "previous_segment": _TEXT,
    "is_changed": _FLAG,
    "agrees_with_name": _FLAG,
    "active_days": _WHOLE,
    "daily_cost": _REAL,
    # profiles (measures of the window)
    "n_campaigns": _WHOLE,
    "impressions": _WHOLE,
    "clicks": _WHOLE,
    "leads": _WHOLE,
    "conversions": _WHOLE,
    "cost": _REAL,
    "revenue": _REAL,
    "cost_share": _REAL,
    "revenue_share": _REAL,
    "ctr": _REAL,
    "cvr": _REAL,
    "cpl": _REAL,
    "cpa": _REAL,
    "cpc": _REAL,
    "cpm": _REAL,
    "roi": _REAL,
    "roas": _REAL,
    "aov": _REAL,
    "silhouette": _REAL,
    "name_agreement": _REAL,
    "name_agreement_by_cost": _REAL,
    "roi_rank": _WHOLE,
    # quality
    "k": _WHOLE,
    "features": _TEXT,
    "within_cost": _REAL,
    "silhouette_null_95": _REAL,
    "ari_bootstrap": _REAL,
    "ari_bootstrap_p10": _REAL,
    "persistence_ari": _REAL,
    "smallest_segment": _WHOLE,
    "is_chosen": _FLAG,
    "reason": _TEXT,
    # model_runs
    "run_model": _TEXT,
    "data_version": _TEXT,
    "code_version": _TEXT,
    "parameters": _TEXT,
    "versions": _TEXT,
    "verdict": _TEXT,
    "n_rows": _WHOLE,
    "n_days": _WHOLE,
    "first_date": _DAY,
    "last_date": _DAY,
}

DIGITS = 10  # significant digits that are published; the rest is noise of the last additions


def _round(value: Any) -> float | None:
    """Ten significant digits, None for anything that is not a finite number."""
    if value is None:
        return None
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        return None
    return float(f"{number:.{DIGITS}g}") + 0.0


def tidy(frames: list[pd.DataFrame], columns: dict[str, str]) -> pd.DataFrame:
    """One frame with every column in order, typed so that Spark needs no guess.

    Raises:
        KeyError: a frame has a column that the schema does not know.
    """
    parts = []
    for frame in frames:
        unknown = set(frame.columns) - set(columns)
        if unknown:
            raise KeyError(f"columns without a type: {sorted(unknown)}")
        if len(frame):
            parts.append(frame.reindex(columns=list(columns)).astype(object))
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
    out = pd.concat(parts, ignore_index=True).astype(object)
    readers = {_REAL: _round, _WHOLE: int, _FLAG: bool, _DAY: lambda v: pd.Timestamp(v).date()}
    for name, kind in columns.items():
        read: Any = readers.get(kind, str)
        values = out[name].tolist()
        gone = pd.isna(out[name]).tolist()
        out[name] = pd.Series(
            [None if none else read(v) for v, none in zip(values, gone, strict=True)], dtype=object
        )
    return out


def to_spark(spark: SparkSession, frame: pd.DataFrame, columns: dict[str, str]) -> DataFrame:
    """Typed Spark frame in the given row order and one partition."""
    import pyarrow as pa

    kinds = {
        _TEXT: pa.string(),
        _REAL: pa.float64(),
        _WHOLE: pa.int64(),
        _FLAG: pa.bool_(),
        _DAY: pa.date32(),
    }
    schema = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
    table = pa.table(
        {name: pa.array(frame[name].tolist(), type=kinds[kind]) for name, kind in columns.items()}
    )
    try:
        return spark.createDataFrame(table, schema).coalesce(1)
    except TypeError:  # Spark 3.5 takes no Arrow table
        rows = [tuple(row) for row in frame.itertuples(index=False, name=None)]
        return spark.createDataFrame(rows, schema).coalesce(1)
