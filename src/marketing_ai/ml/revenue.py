"""From marketing_kpi to the tidy table that the forecasting marts select from."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from . import (
    CODE_VERSION,
    accuracy,
    backtest,
    drift,
    elasticity,
    features,
    importance,
    intervals,
    scenarios,
    schema,
)
from .backtest import Block, Fit
from .features import WEEK, State
from .panel import KEYS, Panel, Snapshot, build_panel, read_snapshot
from .settings import ForecastSettings, as_json

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Array = np.ndarray
NOTE_COLUMNS = ("delta_cost", "delta_revenue", "support", "evidence")


def run_id(snapshot: Snapshot, settings_text: str, extra: str = "") -> str:
    """Same data, code and parameters: same id."""
    text = "|".join([snapshot.data_hash, CODE_VERSION, settings_text, extra])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_small(frame: DataFrame | None, columns: list[str]) -> pd.DataFrame:
    """A small optional table as pandas, sorted; empty when absent or without the columns."""
    if frame is None or any(name not in frame.columns for name in columns):
        return pd.DataFrame(columns=columns)
    out = frame.select(*columns).toPandas()
    return out.sort_values(columns, kind="stable", key=lambda c: c.astype(str)).reset_index(
        drop=True
    )


def forecast(
    spark: SparkSession,
    kpi: DataFrame,
    settings: ForecastSettings,
    plan: DataFrame | None = None,
    lift: DataFrame | None = None,
) -> DataFrame:
    """The tidy Spark table of the dbt model ``ml_revenue``."""
    snapshot = read_snapshot(kpi, settings.max_rows)
    plan_rows = read_small(plan, [*KEYS, "date", "planned_cost"])
    lift_columns = ["channel", "campaign_id", "elasticity", "lower", "upper"]
    lift_rows = read_small(lift, lift_columns)
    frame = forecast_tables(spark, snapshot, settings, plan_rows, lift_rows)
    return schema.to_spark(spark, frame, schema.REVENUE_COLUMNS)


def forecast_tables(
    spark: SparkSession | None,
    snapshot: Snapshot,
    settings: ForecastSettings,
    plan: pd.DataFrame | None = None,
    lift: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """All output rows as one pandas frame in a fixed order.

    Data that cannot carry a forecast give a ``model_runs`` row with the reason, and nothing else.
    """
    plan = plan if plan is not None else pd.DataFrame(columns=[*KEYS, "date", "planned_cost"])
    lift = lift if lift is not None else pd.DataFrame()
    extra = hashlib.sha256((plan.to_csv() + lift.to_csv()).encode()).hexdigest()
    identity = run_id(snapshot, as_json(settings), extra)
    run: dict[str, Any] = {
        "output": "model_runs",
        "run_model": "revenue",
        "data_version": snapshot.data_hash,
        "code_version": CODE_VERSION,
        "parameters": as_json(settings),
        "versions": _versions(),
        "n_rows": snapshot.n_rows,
        "first_date": snapshot.first_date,
        "last_date": snapshot.last_date,
    }
    reason = _cannot(snapshot)
    panel = build_panel(snapshot.frame, settings.as_of_date) if reason is None else None
    if panel is not None and (panel.n_series == 0 or panel.n_days == 0):
        reason = "no rows with a date and revenue up to the as-of date"
    elif panel is not None and not panel.cost.sum() > 0:
        reason = "no row has a cost: revenue per budget cannot be learned"
    elif panel is not None and not panel.revenue.sum() > 0:
        reason = "all revenue is zero: nothing to learn from"
    if reason is not None or panel is None:
        run |= {"tier": "none", "verdict": "insufficient_data", "reason": reason, "n_origins": 0}
        run |= {"model_used": "none"}
        as_of = settings.as_of_date or snapshot.last_date
        frames = [pd.DataFrame([run | {"run_id": identity, "as_of_date": as_of}])]
        return schema.tidy(frames, schema.REVENUE_COLUMNS)
    frames = _run(spark, panel, snapshot, settings, plan, lift, run)
    as_of = panel.dates[-1].date()
    for frame in frames:
        frame["run_id"], frame["as_of_date"] = identity, as_of
    return schema.tidy(frames, schema.REVENUE_COLUMNS)


def _versions() -> str:
    """Engine versions that a number could depend on."""
    import pyspark

    return f"pyspark {pyspark.__version__}, numpy {np.__version__}, pandas {pd.__version__}"


def _cannot(snapshot: Snapshot) -> str | None:
    """Why there can be no forecast at all, or None."""
    if snapshot.n_rows == 0:
        return "the table is empty"
    if snapshot.n_undated == snapshot.n_rows:
        return "no row has a date: a forecast over time needs one"
    if snapshot.n_without_revenue == snapshot.n_rows:
        return "the source has no revenue: there is nothing to forecast"
    return None


def extend(panel: Panel, plan: pd.DataFrame) -> Panel:
    """Add silent series for campaigns, channels or segments that only the plan knows."""
    if plan.empty:
        return panel
    wanted = plan[KEYS].fillna("unknown").astype(str).drop_duplicates()
    known = set(panel.keys[KEYS].itertuples(index=False, name=None))
    new = [key for key in wanted.itertuples(index=False, name=None) if key not in known]
    if not new:
        return panel
    added = pd.DataFrame(new, columns=KEYS).assign(campaign_name=None)
    keys = pd.concat([panel.keys, added], ignore_index=True)
    order = keys.sort_values(KEYS, kind="stable").index.to_numpy()

    def grow(values: Array) -> Array:
        return np.vstack([values, np.zeros((len(new), panel.n_days))])[order]

    return dataclasses.replace(
        panel,
        keys=keys.loc[order].reset_index(drop=True),
        cost=grow(panel.cost),
        revenue=grow(panel.revenue),
        revenue_fit=grow(panel.revenue_fit),
        counts={name: grow(values) for name, values in panel.counts.items()},
    )


def planned_costs(panel: Panel, state: State, plan: pd.DataFrame, dates: pd.DatetimeIndex) -> Array:
    """S x H planned cost.

    Default: the mean daily spend of the last 28 days (of the campaign's life if shorter), and 0
    for a series without spend for two weeks. A plan replaces the days that it names.
    """
    costs = np.repeat(state.plan_rate[:, None], len(dates), axis=1)
    if plan.empty:
        return costs
    rows = plan.copy()
    rows[KEYS] = rows[KEYS].fillna("unknown").astype(str)
    rows["date"] = pd.to_datetime(rows["date"], errors="coerce")
    rows["planned_cost"] = pd.to_numeric(rows["planned_cost"], errors="coerce").astype(float)
    rows = rows[np.isfinite(rows["planned_cost"]) & rows["date"].isin(dates)]
    place = {key: i for i, key in enumerate(panel.keys[KEYS].itertuples(index=False, name=None))}
    total = rows.groupby([*KEYS, "date"], sort=True)["planned_cost"].sum().clip(lower=0.0)
    for (campaign, channel, segment, date), cost in total.items():
        row = place[(campaign, channel, segment)]
        costs[row, (date - dates[0]).days] = cost
    return costs


def _run(
    spark: SparkSession | None,
    panel: Panel,
    snapshot: Snapshot,
    settings: ForecastSettings,
    plan: pd.DataFrame,
    lift: pd.DataFrame,
    run: dict[str, Any],
) -> list[pd.DataFrame]:
    """Backtest, final fit, and every output frame (without run columns)."""
    panel = extend(panel, plan)
    tested = backtest.run(spark, panel, settings)
    blocks = tested.blocks
    chosen = accuracy.published_models(blocks, settings.gate_gain)
    table, weekly = accuracy.table(panel, blocks, chosen)
    origins = sorted(chosen)
    verdict, reason = accuracy.verdict(weekly, len(origins))
    last = panel.n_days - 1
    fit = tested.final
    model = backtest.gate(blocks, last, settings.gate_gain)
    if fit.forest is None and model in ("forest", "blend"):
        model = "own_efficiency"
    silent = verdict == "no_signal"
    state = features.state_at(panel, last, fit.elasticity, fit.smoothing)
    known = elasticity.apply_lift_tests(
        pd.concat(
            [
                panel.keys,
                fit.elasticity.for_channels(panel.keys["channel"]).drop(columns="channel"),
            ],
            axis=1,
        ),
        lift,
    )
    # a lift test changes the curve around recent spend, so the forecast at that spend stays
    state = dataclasses.replace(state, beta=known["beta"].to_numpy(dtype=float))
    dates = pd.date_range(panel.dates[-1] + pd.Timedelta(days=1), periods=settings.horizon_days)
    cost = planned_costs(panel, state, plan, dates)
    new_ref = np.where(cost > 0, cost, 0).sum(axis=1) / np.maximum((cost > 0).sum(axis=1), 1)
    state = dataclasses.replace(state, ref=np.where(state.ref > 0, state.ref, new_ref))
    out = _forecast_rows(panel, snapshot, state, fit, model, silent, cost, dates, known)
    forecast_frame, daily = out
    _daily_intervals(panel, blocks, chosen, forecast_frame, daily, settings.horizon_days, silent)
    curves_frame, curves, month = _curve_rows(
        panel, blocks, chosen, state, fit, model, silent, cost, daily, known
    )
    frames = [forecast_frame, curves_frame]
    frames.append(_scenario_rows(panel, settings, curves, known, silent, month))
    frames.append(_reallocation_rows(panel, settings, curves, known, silent, month))
    if len(table):
        table["is_published"] = table["model"] == "published"
        table["model_kind"] = [_kind(name) for name in table["model"]]
        table["verdict"] = verdict
        table["output"] = "forecast_accuracy"
        frames.append(table)
    frames.append(importance.table(panel, tested, fit, settings.seed))
    flags = drift.check(panel, weekly)
    tier = "full" if fit.forest is not None and len(origins) >= 4 else "simple"
    if tier == "simple" and len(origins) == 0:
        tier = "minimal"
    notes = [reason, *panel.notes]
    unpaid = np.where(panel.cost > 0, 0.0, panel.revenue_fit).sum() / panel.revenue_fit.sum()
    if unpaid > 0.01:
        notes.append(f"{unpaid:.0%} of revenue came on days without cost: not forecast")
    if snapshot.n_undated:
        notes.append(f"{snapshot.n_undated} rows without a date left out")
    run |= {
        "tier": tier,
        "model_used": "channel_mean" if silent else model,
        "verdict": verdict,
        "reason": "; ".join(notes),
        "n_campaigns": panel.keys["campaign_id"].nunique(),
        "n_series": panel.n_series,
        "n_days": panel.n_days,
        "n_origins": len(origins),
        "n_training_rows": fit.n_rows,
        **flags,
    }
    if len(table):
        head = table[
            (table["unit"] == "campaign_week")
            & (table["slice"] == "all")
            & (table["horizon_weeks"] == 1)
        ]
        head = head[head["model"] == "published"]
        if len(head):
            for name in ("wape", "r2", "bias", "coverage_80", "coverage_80_biggest_third"):
                run[name] = head[name].iloc[0] if name in head else None
            run["best_baseline"] = head["best_baseline"].iloc[0]
            run["wape_against_best_baseline"] = head["wape_against_best_baseline"].iloc[0]
    frames.append(pd.DataFrame([run]))
    return frames


def _kind(name: str) -> str:
    """Group of a model in the leaderboard."""
    if name == "published":
        return "published"
    if name in backtest.CANDIDATES:
        return "candidate"
    return "reference" if name == "channel_mean" else "baseline"


def _forecast_rows(
    panel: Panel,
    snapshot: Snapshot,
    state: State,
    fit: Fit,
    model: str,
    silent: bool,
    cost: Array,
    dates: pd.DatetimeIndex,
    known: pd.DataFrame,
) -> tuple[pd.DataFrame, Array]:
    """revenue_forecast rows and the S x H forecast."""
    weekday = dates.dayofweek.to_numpy()
    effective = features.effective_plan(state, cost, weekday)
    daily = np.zeros_like(cost)
    for week in range((len(dates) - 1) // WEEK + 1):
        at = slice(week * WEEK, (week + 1) * WEEK)
        level = backtest.levels(fit, state, week + 1)[model]
        daily[:, at] = level[:, None] * effective[:, at]
    if silent:
        daily = np.where(cost > 0, state.mean_revenue[:, None], 0.0)
    s, h = cost.shape
    keys = panel.keys.loc[np.repeat(np.arange(s), h)].reset_index(drop=True)
    status = np.where(
        state.age_days == 0,
        "cold_start",
        np.where(cost.sum(axis=1) > 0, "forecast", "stopped"),
    )
    used = np.where(state.age_days == 0, "channel_efficiency", model)
    frame = keys.assign(
        output="revenue_forecast",
        date=np.tile(dates.to_numpy(), s),
        horizon_days=np.tile(np.arange(1, h + 1), s),
        planned_cost=cost.ravel(),
        predicted_revenue=daily.ravel(),
        predicted_roas=np.where(
            cost.ravel() > 0, daily.ravel() / np.where(cost > 0, cost, 1.0).ravel(), np.nan
        ),
        model_used="channel_mean" if silent else np.repeat(used, h),
        status="no_signal" if silent else np.repeat(status, h),
        evidence=np.repeat(known["evidence"].to_numpy(), h),
        actual_revenue=np.nan,
    )
    later = snapshot.frame[snapshot.frame["date"].isin(dates)]
    if len(later):
        actual = later.groupby([*KEYS, "date"])["revenue"].sum(min_count=1)
        index = pd.MultiIndex.from_frame(frame[[*KEYS, "date"]])
        frame["actual_revenue"] = actual.reindex(index).to_numpy()
    return frame, daily


def _daily_intervals(
    panel: Panel,
    blocks: list[Block],
    chosen: dict[int, str],
    frame: pd.DataFrame,
    daily: Array,
    horizon_days: int,
    silent: bool,
) -> None:
    """Fill the 80 % bounds of each series-day from past series-days of the same week ahead."""
    lower, upper = np.full(daily.shape, np.nan), np.full(daily.shape, np.nan)
    if blocks:
        names = dict.fromkeys(chosen, "channel_mean") if silent else chosen
        units = accuracy.units_of(blocks, names, np.arange(panel.n_series), panel.n_series, True)
        rule = None
        for week in range((horizon_days - 1) // WEEK + 1):
            found = accuracy.calibration_at(units, panel.n_days - 1, week + 1)
            # too few origins for this week ahead: the nearer week's rule is better than none
            rule = found or rule
            if rule is not None:
                at = slice(week * WEEK, (week + 1) * WEEK)
                lower[:, at], upper[:, at] = rule.bounds(daily[:, at])
    quiet = daily <= 0
    lower[quiet], upper[quiet] = np.nan, np.nan
    frame["revenue_lower_80"], frame["revenue_upper_80"] = lower.ravel(), upper.ravel()


def _horizon_rules(
    panel: Panel, blocks: list[Block], chosen: dict[int, str]
) -> dict[str, tuple[Array, int, Any]]:
    """Per scope: codes of the series, number of units, interval rule for the whole horizon."""
    keys = panel.keys
    codes = {
        "campaign": pd.factorize(keys["campaign_id"], sort=True)[0],
        "channel": pd.factorize(keys["channel"], sort=True)[0],
        "segment": pd.factorize(keys["segment"], sort=True)[0],
        "portfolio": np.zeros(len(keys), dtype=int),
    }
    weeks = max((block.horizon for block in blocks), default=0)
    out: dict[str, tuple[Array, int, Any]] = {}
    for scope, code in codes.items():
        n = int(code.max()) + 1
        rule = None
        complete = [o for o in chosen if sum(b.origin == o for b in blocks) == weeks]
        part = [block for block in blocks if block.origin in set(complete)]
        if part and len(complete) >= accuracy.MIN_CALIBRATION:
            units = accuracy.units_of(part, chosen, code, n, daily=False)
            slot = pd.factorize(units.origin * 100_000 + units.code)[0]
            predicted = np.bincount(slot, units.predicted["published"])
            actual = np.bincount(slot, units.actual)
            # a portfolio has one residual per origin: eight are the fewest an 80 % rank needs
            few = 8 if scope == "portfolio" else 20
            rule = intervals.calibrate(predicted, actual, min_scores=few)
        out[scope] = (code, n, rule)
    return out


def _curve_rows(
    panel: Panel,
    blocks: list[Block],
    chosen: dict[int, str],
    state: State,
    fit: Fit,
    model: str,
    silent: bool,
    cost: Array,
    daily: Array,
    known: pd.DataFrame,
) -> tuple[pd.DataFrame, scenarios.Curves, dict[str, tuple[Array, int, Any]]]:
    """response_curves rows, the curves as arrays, and the interval rules of the scopes."""
    base_cost, base_revenue = cost.sum(axis=1), daily.sum(axis=1)
    days = np.maximum((cost > 0).sum(axis=1), 1)
    first = max(0, panel.n_days - 182)
    recent = panel.cost[:, first:]
    p95 = np.array([np.quantile(row[row > 0], 0.95) if (row > 0).any() else 0.0 for row in recent])
    curves = scenarios.Curves(
        base_revenue=base_revenue,
        base_cost=base_cost,
        daily_cost=base_cost / days,
        ref=state.ref,
        beta=state.beta,
        beta_lo=known["beta_lo"].to_numpy(dtype=float),
        beta_hi=known["beta_hi"].to_numpy(dtype=float),
        cost_p95=p95,
        cost_max=panel.cost.max(axis=1),
    )
    level = backtest.levels(fit, state, 1)[model]
    effective = features.effective_plan(state, cost, np.zeros(cost.shape[1], dtype=int))
    blank = np.nan
    frame = panel.keys.assign(
        output="response_curves",
        base_cost=base_cost,
        base_revenue=base_revenue,
        planned_daily_cost=curves.daily_cost,
        reference_daily_cost=state.ref,
        efficiency=blank if silent else level,
        own_efficiency=state.level_own,
        forest_factor=blank
        if silent
        else np.where(
            state.level_own > 0, level / np.where(state.level_own > 0, state.level_own, 1.0), 1.0
        ),
        budget_factor=np.where(
            base_cost > 0, effective.sum(axis=1) / np.where(base_cost > 0, base_cost, 1.0), np.nan
        ),
        elasticity=blank if silent else state.beta,
        elasticity_raw=known["beta_raw"].to_numpy(dtype=float),
        elasticity_lower_80=blank if silent else curves.beta_lo,
        elasticity_upper_80=blank if silent else curves.beta_hi,
        carryover=fit.elasticity.carryover,
        daily_cost_p95=p95,
        daily_cost_max=curves.cost_max,
        evidence="no_signal" if silent else known["evidence"].to_numpy(),
        model_used="channel_mean" if silent else model,
    )
    rules = _horizon_rules(panel, blocks, chosen)
    return frame, curves, rules


def _scenario_rows(
    panel: Panel,
    settings: ForecastSettings,
    curves: scenarios.Curves,
    known: pd.DataFrame,
    silent: bool,
    rules: dict[str, tuple[Array, int, Any]],
) -> pd.DataFrame:
    """budget_scenarios rows of all scopes and multipliers."""
    column = {"campaign": "campaign_id", "channel": "channel", "segment": "segment"}
    rows: list[pd.DataFrame] = []
    evidence_rank = {"experiment": 0, "estimated": 1, "assumed": 2, "confounded": 3}
    rank = known["evidence"].map(evidence_rank).to_numpy()
    names = list(evidence_rank)
    for scope, (code, n, rule) in rules.items():
        ids = sorted(panel.keys[column[scope]].unique()) if scope in column else ["all campaigns"]
        base_cost = np.bincount(code, curves.base_cost, minlength=n)
        base_revenue = np.bincount(code, curves.base_revenue, minlength=n)
        spends = curves.base_cost
        worst_evidence = _worst(rank, code, n, spends)
        for m in settings.multipliers:
            revenue = np.bincount(code, curves.revenue(m), minlength=n)
            # elasticity uncertainty moves the far end of the curve: added to the forecast's own
            low_beta = np.bincount(
                code, curves.revenue(m, curves.beta_lo if m > 1 else curves.beta_hi), minlength=n
            )
            high_beta = np.bincount(
                code, curves.revenue(m, curves.beta_hi if m > 1 else curves.beta_lo), minlength=n
            )
            worst_support = _worst(scenarios.support(curves, m), code, n, spends)
            lower = upper = np.full(n, np.nan)
            if rule is not None and not silent:
                low0, high0 = rule.bounds(base_revenue)
                safe = np.where(base_revenue > 0, base_revenue, 1.0)
                lower = low0 / safe * low_beta
                upper = high0 / safe * high_beta
            extrapolated = worst_support == 2
            lower, upper = (
                np.where(extrapolated, np.nan, lower),
                np.where(extrapolated, np.nan, upper),
            )
            cost = base_cost * m
            delta_cost, delta = cost - base_cost, revenue - base_revenue
            if silent:
                revenue, delta = np.full(n, np.nan), np.full(n, np.nan)
                low_beta = high_beta = np.full(n, np.nan)
            change = delta_cost != 0
            safe_delta = np.where(change, delta_cost, 1.0)
            d_lo, d_hi = low_beta - base_revenue, high_beta - base_revenue
            frame = pd.DataFrame(
                {
                    "output": "budget_scenarios",
                    "scope": scope,
                    "scope_id": ids,
                    "budget_multiplier": m,
                    "budget_change": m - 1.0,
                    "cost": cost,
                    "revenue": revenue,
                    "revenue_lower_80": lower,
                    "revenue_upper_80": upper,
                    "delta_cost": delta_cost,
                    "delta_revenue": delta,
                    "delta_revenue_lower_80": np.where(
                        extrapolated, np.nan, np.minimum(d_lo, d_hi)
                    ),
                    "delta_revenue_upper_80": np.where(
                        extrapolated, np.nan, np.maximum(d_lo, d_hi)
                    ),
                    "roas": np.where(cost > 0, revenue / np.where(cost > 0, cost, 1.0), np.nan),
                    "incremental_roas": np.where(change, delta / safe_delta, np.nan),
                    "incremental_roi": np.where(change, (delta - delta_cost) / safe_delta, np.nan),
                    "support": [
                        scenarios.SUPPORT_NAMES[v] if v >= 0 else "no_budget" for v in worst_support
                    ],
                    "evidence": "no_signal"
                    if silent
                    else [names[v] if v >= 0 else "assumed" for v in worst_evidence],
                }
            )
            frame["note"] = [
                scenario_note(m, *values)
                for values in zip(
                    *(frame[c].tolist() for c in NOTE_COLUMNS),
                    strict=True,
                )
            ]
            rows.append(frame)
    return pd.concat(rows, ignore_index=True)


MONEY_SHARE = 0.9  # a tenth of the money must not decide what is said of the rest


def _worst(rank: Array, code: Array, n: int, cost: Array) -> Array:
    """Smallest rank that holds 90 % of a unit's money; -1 for a unit without budget."""
    total = np.bincount(code, cost, minlength=n)
    out = np.full(n, -1)
    for level in range(int(rank.max(initial=0)), -1, -1):
        held = np.bincount(code, np.where(rank <= level, cost, 0.0), minlength=n)
        out[(total > 0) & (held >= MONEY_SHARE * total)] = level
    return out


def scenario_note(
    multiplier: float, delta_cost: float, delta_revenue: float, support: str, evidence: str
) -> str:
    """What a scenario row says, in plain words."""
    if support == "no_budget":
        return "No budget is planned here, so there is nothing to scale."
    if evidence == "no_signal":
        return "The data do not show that budget moves revenue: no scenario is given."
    change = round((multiplier - 1) * 100)
    if change == 0:
        text = "The plan as it is."
    else:
        word = "more" if change > 0 else "less"
        per = delta_revenue / delta_cost if delta_cost else 0.0
        verb = "brings" if change > 0 else "gives up"
        text = f"{abs(change)} % {word} budget {verb} {per:.2f} of revenue per unit of money moved."
    where = {
        "observed": " Budgets of this size were seen.",
        "stretch": " Somewhat beyond the budgets that were seen.",
        "extrapolated": " Far beyond the budgets that were seen: no interval is given.",
    }[support]
    why = {
        "experiment": " Rests on a lift test.",
        "estimated": " Rests on past budget changes: association, not proven cause.",
        "assumed": " Budgets hardly changed: the response is an assumption.",
        "confounded": " Budgets seem to have followed demand: the response is an assumption.",
    }[evidence]
    return text + where + why


def _reallocation_rows(
    panel: Panel,
    settings: ForecastSettings,
    curves: scenarios.Curves,
    known: pd.DataFrame,
    silent: bool,
    rules: dict[str, tuple[Array, int, Any]],
) -> pd.DataFrame:
    """budget_reallocation rows: campaigns, and the portfolio with the gain's interval."""
    if silent or not curves.base_revenue.sum() > 0:
        return pd.DataFrame()
    code, n, rule = rules["campaign"]
    sd = None
    if rule is not None:
        sd = float(np.median(rule.limits)) / 1.2816
    best = scenarios.reallocate(curves, code, n, settings.max_change, sd, settings.seed)
    cost = np.bincount(code, curves.base_cost, minlength=n)
    ids = sorted(panel.keys["campaign_id"].unique())
    names = panel.keys.groupby("campaign_id", sort=True)["campaign_name"].last().to_numpy()
    evidence_rank = {"experiment": 0, "estimated": 1, "assumed": 2, "confounded": 3}
    rank = known["evidence"].map(evidence_rank).to_numpy()
    worst = _worst(rank, code, n, curves.base_cost)
    frame = pd.DataFrame(
        {
            "output": "budget_reallocation",
            "scope": "campaign",
            "scope_id": ids,
            "campaign_id": ids,
            "campaign_name": names,
            "current_cost": cost,
            "cost": cost * best.multiplier,
            "budget_multiplier": best.multiplier,
            "budget_change": best.multiplier - 1.0,
            "current_revenue": best.revenue_now,
            "revenue": best.revenue_best,
            "delta_cost": cost * (best.multiplier - 1.0),
            "delta_revenue": best.revenue_best - best.revenue_now,
            "evidence": [list(evidence_rank)[v] if v >= 0 else "assumed" for v in worst],
        }
    )
    frame = frame[frame["current_cost"] > 0].copy()
    frame["note"] = [
        f"{'Raise' if c > 0.005 else 'Lower' if c < -0.005 else 'Keep'} the budget"
        + (f" by {abs(c) * 100:.0f} %." if abs(c) > 0.005 else " as it is.")
        for c in frame["budget_change"]
    ]
    total = pd.DataFrame(
        {
            "output": "budget_reallocation",
            "scope": ["portfolio"],
            "scope_id": "all campaigns",
            "current_cost": cost.sum(),
            "cost": (cost * best.multiplier).sum(),
            "budget_multiplier": 1.0,
            "budget_change": 0.0,
            "current_revenue": best.revenue_now.sum(),
            "revenue": best.revenue_best.sum(),
            "delta_cost": 0.0,
            "delta_revenue": (best.revenue_best - best.revenue_now).sum(),
            "delta_revenue_lower_80": best.gain_lo,
            "delta_revenue_upper_80": best.gain_hi,
            "evidence": list(evidence_rank)[max(int(worst.max()), 0)],
            "note": f"Same budget, at most {settings.max_change:.0%} up or down per campaign.",
        }
    )
    return pd.concat([frame, total], ignore_index=True)
