"""Budget elasticity from what budgets really did, and how far to believe it.

A Poisson regression of a day's revenue on log spend within a series' own window, with weekday and
common day effects, by channel; channels are pulled together by how much they differ (empirical
Bayes) and towards a prior by how little the data say. Association, not proven cause.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from .panel import Panel

Array = np.ndarray

WINDOW = 56  # days within which a series is compared with itself: eight weekly cycles
MIN_VARIATION = 0.10  # within-window sd of log spend below which nothing can be learned
PRIOR_SD = 0.25  # the prior's own 80 % range is about +-.32: .4 to 1 for a prior of .7
FLOOR = 0.05  # below this +20 % budget brings under 1 %: a channel without response, not a curve
WIDE = (0.3, 1.0)  # interval where the data cannot tell
CARRYOVER = (0.0, 0.3, 0.5, 0.7)  # share of a day's effect that is left the day after
CARRYOVER_GAIN = 10.0  # likelihood-ratio to leave "no carry-over": beyond 1 in 600 by chance
LEAD_T = 2.6  # coming budgets that tell of today's revenue: under 1 in 100 by chance ...
LEAD_MIN = 0.1  # ... and strong enough to bend an elasticity visibly
MIN_PER_DAY = 20  # series active on a day before it gets an effect of its own
Z80 = 1.2816


@dataclasses.dataclass(frozen=True)
class Elasticity:
    """Elasticity by channel.

    Attributes:
        table: per channel: channel, beta, beta_raw, beta_lo, beta_hi, evidence, n, variation.
        pooled_raw: the same before shrinking, None without any evidence.
        pooled: elasticity over all channels, used for a channel without history.
        carryover: chosen carry-over per day, 0 if none.
    """

    table: pd.DataFrame
    pooled: float
    pooled_raw: float | None
    carryover: float

    def beta_of(self, channels: pd.Series | Array) -> Array:
        """Elasticity of each channel; unknown channels get the pooled value."""
        known = dict(zip(self.table["channel"], self.table["beta"].tolist(), strict=True))
        code, labels = pd.factorize(np.asarray(channels))
        return np.array([known.get(label, self.pooled) for label in labels])[code]

    def for_channels(self, channels: pd.Series | Array) -> pd.DataFrame:
        """Rows of ``table`` in the order of ``channels``; unknown channels get the pooled value."""
        found = self.table.set_index("channel").reindex(np.asarray(channels)).reset_index()
        new = found["beta"].isna()
        found.loc[new, "beta"] = self.pooled
        found.loc[new, "beta_lo"] = WIDE[0]
        found.loc[new, "beta_hi"] = WIDE[1]
        found.loc[new, "evidence"] = "assumed"
        return found


def adstock(cost: Array, carryover: float) -> Array:
    """Geometric carry-over along days, normalised so that constant spend stays itself."""
    if carryover == 0:
        return cost
    out = np.empty_like(cost)
    state = cost[:, :1].mean(axis=1)
    for day in range(cost.shape[1]):
        state = carryover * state + (1 - carryover) * cost[:, day]
        out[:, day] = state
    return out


def _gram(x: Array, w: Array) -> Array:
    """X' W X without BLAS threads, so that core counts cannot change a digit."""
    return np.asarray(np.einsum("ni,n,nj->ij", x, w, x, optimize=False))


def _absorb(values: Array, weight: Array, factors: list[Array]) -> Array:
    """Weighted residual of each column after removing a free level per factor value.

    Args:
        values: n x p.
        weight: n, > 0.
        factors: integer codes of length n, one array per factor.
    """
    out = values.copy()
    totals = [np.bincount(code, weight) for code in factors]
    for _ in range(20 if len(factors) > 1 else 1):
        largest = 0.0
        for code, total in zip(factors, totals, strict=True):
            for j in range(out.shape[1]):
                mean = np.bincount(code, weight * out[:, j]) / total
                out[:, j] -= mean[code]
                largest = max(largest, float(np.abs(mean).max()))
        if largest < 1e-6:
            break
    return out


def _poisson_within(
    y: Array, x: Array, factors: list[Array], mu: Array
) -> tuple[Array, Array, Array, float]:
    """Poisson regression with free levels per factor value absorbed, by weighted least squares.

    Args:
        y: n, >= 0; every factor value has some y > 0.
        x: n x p.
        factors: the first one is also the cluster of the robust covariance.
        mu: n, > 0, where to start.

    Returns:
        coefficients p, cluster-robust covariance p x p, fitted n, deviance.
    """
    tiny = 1e-6 * float(y.mean())

    def deviance_of(fitted: Array) -> float:
        part = np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0) / fitted), 0.0)
        return 2.0 * float((part - (y - fitted)).sum())

    eta = np.log(np.maximum(mu, tiny))
    mu = np.exp(eta)
    value = deviance_of(mu)
    coef = np.zeros(x.shape[1])
    inside = x
    for _ in range(25):
        target = eta + (y - mu) / mu
        both = _absorb(np.column_stack([x, target]), mu, factors)
        inside = both[:, :-1]
        bread = _gram(inside, mu) + 1e-9 * max(1.0, float(mu.sum())) * np.eye(x.shape[1])
        coef = np.linalg.solve(bread, np.einsum("ni,n,n->i", inside, mu, both[:, -1]))
        wanted = target - both[:, -1] + np.einsum("ni,i->n", inside, coef)
        step, before = 1.0, value
        while True:
            trial = np.clip(eta + step * (wanted - eta), np.log(tiny), 40.0)
            fitted = np.exp(trial)
            value = deviance_of(fitted)
            if value <= before * (1 + 1e-10) + 1e-10 or step < 0.01:
                break
            step /= 2
        eta, mu = trial, fitted
        if abs(before - value) <= 1e-7 * max(abs(before), 1e-9):
            break
    bread = _gram(inside, mu) + 1e-9 * max(1.0, float(mu.sum())) * np.eye(x.shape[1])
    score = inside * (y - mu)[:, None]
    by_cluster = np.column_stack([np.bincount(factors[0], column) for column in score.T])
    clusters = max(2, len(by_cluster))
    meat = np.einsum("gi,gj->ij", by_cluster, by_cluster, optimize=False)
    inverse = np.linalg.inv(bread)
    return coef, inverse @ meat @ inverse * clusters / (clusters - 1), mu, value


def estimate(panel: Panel, prior: float = 0.7, history: int = 182) -> Elasticity:
    """Elasticity by channel from the last ``history`` days of the panel.

    Args:
        panel: what was known at the origin.
        prior: elasticity to assume where the data say nothing.
        history: days of history used (26 weeks: older budgets bought other media prices).
    """
    names = sorted(panel.keys["channel"].unique())
    first = max(0, panel.n_days - history)
    cost, revenue = panel.cost[:, first:], panel.revenue_fit[:, first:]
    rows, cols = np.nonzero(cost > 0)
    assumed = pd.DataFrame(
        {
            "channel": names,
            "beta": prior,
            "beta_raw": np.nan,
            "beta_lo": WIDE[0],
            "beta_hi": WIDE[1],
            "evidence": "assumed",
            "n": 0,
            "variation": 0.0,
        }
    )
    if len(rows) < 60 or revenue.sum() <= 0:
        return Elasticity(assumed, prior, None, 0.0)
    code = rows * 1000 + (cost.shape[1] - 1 - cols) // WINDOW
    # a window or day without revenue has no level to compare with
    for by_day in (False, True):
        key = cols if by_day else code
        paid = np.isin(key, np.unique(key[revenue[rows, cols] > 0]))
        rows, cols, code = rows[paid], cols[paid], code[paid]
    if len(rows) < 60:
        return Elasticity(assumed, prior, None, 0.0)
    group = pd.factorize(code, sort=True)[0]
    day = pd.factorize(cols, sort=True)[0]
    weekday = pd.factorize(panel.dates.dayofweek.to_numpy()[first:][cols], sort=True)[0]
    y = revenue[rows, cols]
    # equal say per unit of relative noise: money's variance grows faster than its mean
    series_mean = np.bincount(rows, y) / np.maximum(np.bincount(rows), 1)
    y = y / series_mean[rows]
    channel = pd.Categorical(panel.keys["channel"], categories=names).codes[rows].astype(int)
    size = np.bincount(group)

    def by_channel(spend: Array) -> Array:
        value = np.log(spend[rows, cols])
        value = value - (np.bincount(group, value) / size)[group]
        out = np.zeros((len(rows), len(names)))
        out[np.arange(len(rows)), channel] = value
        return out

    start = (np.bincount(group, y) / size)[group]
    chosen, best, dispersion = 0.0, 0.0, 1.0
    for carry in CARRYOVER:
        x = by_channel(adstock(cost, carry))
        _, _, mu, deviance = _poisson_within(y, x, [group, weekday], start)
        if carry == 0.0:
            free = max(1, len(y) - len(size) - x.shape[1] - 6)
            dispersion = max(float(((y - mu) ** 2 / mu).sum()) / free, 1e-9)
            best = deviance
        elif (best - deviance) / dispersion > CARRYOVER_GAIN:
            best, chosen = deviance, carry
    x = by_channel(adstock(cost, chosen))
    n = np.bincount(channel, minlength=len(names))
    spread = np.sqrt((by_channel(cost) ** 2).sum(axis=0) / np.maximum(n, 1))
    common = day if len(rows) / len(np.unique(cols)) >= MIN_PER_DAY else weekday
    coef, cov, mu, _ = _poisson_within(y, x, [group, common], start)
    led = False
    lead = _lead(cost, rows, cols, group)
    if np.abs(lead).max() > 0:
        both, both_cov, _, _ = _poisson_within(y, np.column_stack([x, lead]), [group, common], mu)
        t_value = both[-1] / np.sqrt(max(both_cov[-1, -1], 1e-12))
        led = bool(t_value > LEAD_T and both[-1] > LEAD_MIN)
    se = np.sqrt(np.maximum(np.diag(cov), 1e-12))
    seen = (spread >= MIN_VARIATION) & (n >= 30) & np.isfinite(coef) & (se < 1.0)
    return _shrink(assumed, coef, se, seen, n, spread, prior, chosen, led)


def _lead(cost: Array, rows: Array, cols: Array, group: Array) -> Array:
    """Log of the coming week's spend: it can tell of today only if budgets follow demand."""
    total = np.cumsum(np.pad(cost, ((0, 0), (1, 0))), axis=1)
    end = np.minimum(cols + 8, cost.shape[1])
    ahead = total[rows, end] - total[rows, cols + 1]
    days = end - (cols + 1)
    known = (days >= 3) & (ahead > 0)
    value = np.where(known, np.log(np.where(known, ahead / np.maximum(days, 1), 1.0)), 0.0)
    count = np.bincount(group, known)
    mean = np.bincount(group, np.where(known, value, 0.0)) / np.maximum(count, 1)
    return np.asarray(np.where(known, value - mean[group], 0.0))


def _shrink(
    assumed: pd.DataFrame,
    raw: Array,
    se: Array,
    seen: Array,
    n: Array,
    spread: Array,
    prior: float,
    carryover: float,
    budgets_follow_demand: bool,
) -> Elasticity:
    """Empirical Bayes: channel towards pooled by their spread, pooled towards the prior."""
    table = assumed.assign(n=n, variation=spread)
    table["beta_raw"] = np.where(seen, raw, np.nan)
    if not seen.any():
        return Elasticity(table, prior, None, 0.0)
    weight = np.where(seen, 1.0 / se**2, 0.0)
    centre = float((weight * np.where(seen, raw, 0.0)).sum() / weight.sum())
    count = int(seen.sum())
    excess = float((weight * np.where(seen, raw - centre, 0.0) ** 2).sum()) - (count - 1)
    norm = weight.sum() - (weight**2).sum() / weight.sum()
    tau2 = max(0.0, excess / norm) if count > 1 and norm > 0 else 0.0
    w2 = np.where(seen, 1.0 / (se**2 + tau2), 0.0)
    pooled_raw = float((w2 * np.where(seen, raw, 0.0)).sum() / w2.sum())
    pooled_var = 1.0 / w2.sum()
    trust = PRIOR_SD**2 / (PRIOR_SD**2 + pooled_var)
    pooled = trust * pooled_raw + (1 - trust) * prior
    pull = tau2 / (tau2 + se**2)
    beta = np.where(seen, pull * raw + (1 - pull) * pooled, prior)
    sd = np.sqrt(np.where(seen, pull * se**2 + (1 - pull) ** 2 * pooled_var, PRIOR_SD**2))
    excludes_one = raw - Z80 * se > 1.0
    confounded = seen & ((raw > 1.0) & excludes_one | budgets_follow_demand)
    table["evidence"] = np.where(confounded, "confounded", np.where(seen, "estimated", "assumed"))
    # a confounded slope is too steep by an unknown amount: the prior is the safer guess
    beta = np.where(confounded, np.minimum(beta, prior), beta)
    table["beta"] = np.clip(beta, FLOOR, 1.0)
    known = seen & ~confounded
    table["beta_lo"] = np.where(known, np.clip(beta - Z80 * sd, FLOOR, 1.0), WIDE[0])
    table["beta_hi"] = np.where(known, np.clip(beta + Z80 * sd, FLOOR, 1.0), WIDE[1])
    table["beta_lo"] = np.minimum(table["beta_lo"], table["beta"])
    table["beta_hi"] = np.maximum(table["beta_hi"], table["beta"])
    pooled_out = min(pooled, prior) if confounded.any() and confounded[seen].all() else pooled
    return Elasticity(table, float(np.clip(pooled_out, FLOOR, 1.0)), pooled_raw, carryover)


def apply_lift_tests(table: pd.DataFrame, lift: pd.DataFrame | None) -> pd.DataFrame:
    """Let experiments override what was estimated.

    Args:
        table: rows with campaign_id, channel, beta, beta_lo, beta_hi, evidence.
        lift: channel, campaign_id (one of them may be null), elasticity, lower, upper, source; a
            campaign's test beats its channel's. Rows with an elasticity not above 0 are ignored.
    """
    if lift is None or lift.empty:
        return table
    out = table.copy()
    tests = lift.copy()
    for name in ("elasticity", "lower", "upper"):
        tests[name] = pd.to_numeric(tests[name], errors="coerce")
    tests = tests[tests["elasticity"] > 0]

    def text(name: str) -> pd.Series:
        if name not in tests:
            return pd.Series("", index=tests.index)
        return tests[name].fillna("").astype(str)

    tests = tests.assign(campaign_key=text("campaign_id"), channel_key=text("channel"))
    tests = tests.sort_values(["campaign_key", "channel_key", "elasticity"], kind="stable")
    for own in (False, True):
        for test in tests[(tests["campaign_key"] != "") == own].to_dict("records"):
            hit = (
                out["campaign_id"] == test["campaign_key"]
                if own
                else out["channel"] == test["channel_key"]
            )
            beta = min(max(test["elasticity"], FLOOR), 1.0)
            low = beta if np.isnan(test["lower"]) else test["lower"]
            high = beta if np.isnan(test["upper"]) else test["upper"]
            out.loc[hit, "beta"] = beta
            out.loc[hit, "beta_lo"] = min(max(low, FLOOR), beta)
            out.loc[hit, "beta_hi"] = max(min(high, 1.0), beta)
            out.loc[hit, "evidence"] = "experiment"
    return out
