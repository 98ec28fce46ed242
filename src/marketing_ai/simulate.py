"""Simulated marketing data with a known truth.

What it is for: the demo data of this project, tests of the forecast (is the budget effect that a
model finds the one that was planted?), tests of the segmentation (are the planted groups found
again?), and large inputs for benchmarks. Real data can show whether a forecast is accurate; only
simulated data can show whether a what-if is right, because only here is the answer known.

The world, per series (campaign x channel x segment) and day t:

    expected revenue_t = roas * ref_cost * response(spend_t) * demand_t * trend_t
    demand_t           = week-day season * yearly season * exp(AR(1) of the channel + of the series)

and from it conversions (Poisson, with extra day noise) and revenue (conversions * basket value);
impressions follow from spend, clicks from impressions, and leads lie between clicks and
conversions, so every row has conversions <= leads <= clicks <= impressions.

response(spend), scaled to 1 at ref_cost, with `elasticity` the channel's local elasticity there:

    power    (spend / ref_cost) ** elasticity
    hill     m / (k + m) * (k + 1), m = spend / ref_cost, k = elasticity / (1 - elasticity)
    adstock  power of the carried-over spend: stock_t = (1 - decay) * spend_t + decay * stock_t-1
    none     1: revenue is noise that no campaign, budget or calendar explains

budgets:

    exogenous   changes every seven days, for reasons that have nothing to do with demand
    confounded  follows demand (`confounding` is the exponent), plus a little noise of its own
    constant    hardly moves: the data cannot say what a budget change would do

The same configuration gives the same frame, byte for byte. Each series has random streams of its
own, drawn in the order of the days, so that a piece of the campaigns equals that part of the whole
and a longer simulation begins with the rows of the shorter one.

`python -m marketing_ai.simulate` writes the demo (see `write_demo`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import typer

Response = Literal["power", "hill", "adstock", "none"]
Budgets = Literal["exogenous", "confounded", "constant"]

COLUMNS = (
    "campaign_id",
    "campaign_name",
    "channel",
    "segment",
    "date",
    "impressions",
    "clicks",
    "leads",
    "conversions",
    "cost",
    "revenue",
)
KEYS = ["campaign_id", "channel", "segment"]
RECENT_DAYS = 28
ELASTICITIES = {"search": 0.9, "social": 0.75, "email": 0.6, "display": 0.5, "video": 0.35}

# Mean 1 over a week, Monday first; `weekly_season` scales the deviation from 1.
_WEEKDAY_SHAPE = np.array([0.3, 0.5, 0.4, 0.1, 0.0, -0.8, -0.5])
_YEARLY_PEAK_DAY = 340


@dataclass(frozen=True)
class Media:
    """How a channel turns money into visits.

    Attributes:
        cpm: price of 1,000 impressions.
        ctr: clicks per impression, in 0..1.
        cvr: conversions per click at reference spend, in 0..1.
        lead_rate: share of the clicks without a conversion that leave a lead, in 0..1.
    """

    cpm: float
    ctr: float
    cvr: float
    lead_rate: float


MEDIA = {
    "search": Media(40.0, 0.040, 0.040, 0.06),
    "social": Media(8.0, 0.011, 0.025, 0.05),
    "email": Media(12.0, 0.025, 0.045, 0.08),
    "display": Media(3.0, 0.0045, 0.020, 0.03),
    "video": Media(9.0, 0.008, 0.020, 0.03),
}
_OTHER_MEDIA = Media(10.0, 0.012, 0.030, 0.05)


@dataclass(frozen=True)
class Group:
    """A planted kind of campaign, for the segmentation to find again.

    Attributes:
        roas: revenue / cost at reference spend and average demand.
        daily_cost: reference spend per day of the campaign, in money.
        cvr_factor: conversions per click against the channel's usual rate.
        ctr_factor: clicks per impression against the channel's usual rate.
    """

    roas: float
    daily_cost: float
    cvr_factor: float = 1.0
    ctr_factor: float = 1.0


GROUPS = {
    "high_roas_high_spend": Group(3.6, 380.0, cvr_factor=1.15),
    "high_roas_low_spend": Group(3.6, 50.0, cvr_factor=1.4),
    "low_roas_high_spend": Group(0.85, 380.0, cvr_factor=0.65, ctr_factor=0.9),
    "low_roas_low_spend": Group(0.85, 50.0, cvr_factor=0.8, ctr_factor=0.9),
    "leaky_funnel": Group(1.8, 140.0, cvr_factor=0.4, ctr_factor=1.9),
}
_NO_GROUP = Group(1.5, 150.0)
SEGMENT_ROAS = {"new_customers": 0.9, "returning": 1.0, "loyal": 1.12}


@dataclass(frozen=True)
class Campaign:
    """One campaign of a hand-written plan; `SimulationConfig.plan` takes a tuple of them.

    Attributes:
        name: campaign name.
        channel: channel of all its rows.
        segments: audience segments; the first gets 60 % of the budget when there are two.
        group: key of `GROUPS`.
        start, end: first and last day with rows; None means the simulation's.
        pause: first and last day of a gap without rows.
        budgets: overrides `SimulationConfig.budgets`.
        trend_from: day from which efficiency changes.
        trend: change of log efficiency per 28 days after `trend_from` (-.2 = about 18 % worse).
    """

    name: str
    channel: str
    segments: tuple[str, ...]
    group: str
    start: date | None = None
    end: date | None = None
    pause: tuple[date, date] | None = None
    budgets: Budgets | None = None
    trend_from: date | None = None
    trend: float = 0.0


@dataclass(frozen=True)
class SimulationConfig:
    """Everything that decides a simulation; the same values give the same frame.

    Attributes:
        campaigns: number of campaigns; ignored when `plan` is given.
        days: number of days.
        start: first day.
        channels: campaign i runs in channel i modulo their number.
        segments: audience segments, dealt out in turn.
        segments_per_campaign: how many of them each campaign targets.
        groups: keys of `GROUPS`, dealt out in turn within each channel.
        response: how revenue follows spend; see the module's text.
        budgets: how spend moves over time; see the module's text.
        elasticities: channel -> local elasticity at reference spend, in 0..1; .7 if missing.
        adstock_decay: share of the spend effect carried to the next day, in [0, 1).
        budget_sd: sd of log spend of exogenous budgets, from week to week.
        confounding: exponent with which confounded budgets follow demand.
        confounded_sd: sd of log spend of confounded budgets that demand does not explain.
        noise: sd of the log of the daily conversion rate (Poisson noise comes on top).
        weekly_season, yearly_season: about the relative amplitude of the seasons; 0 = none.
        demand_sd: sd of the log of demand that is the series' own.
        market_sd: sd of the log of demand that all series of a channel share.
        demand_memory: AR(1) coefficient of both.
        spread: sd of the logs of efficiency and size within a planted group.
        zero_spend_rate: share of days on which nothing was spent (a row of zeros).
        partial_day_rate: share of days with .4-2 % of the budget (mostly without a click).
        seed: seed of all random streams.
        plan: a hand-written list of campaigns.
        first_campaign: number of the first campaign, for simulating in pieces.
    """

    campaigns: int = 40
    days: int = 180
    start: date = date(2025, 1, 1)
    channels: tuple[str, ...] = tuple(ELASTICITIES)
    segments: tuple[str, ...] = tuple(SEGMENT_ROAS)
    segments_per_campaign: int = 1
    groups: tuple[str, ...] = tuple(GROUPS)
    response: Response = "power"
    budgets: Budgets = "exogenous"
    elasticities: Mapping[str, float] = field(default_factory=lambda: dict(ELASTICITIES))
    adstock_decay: float = 0.5
    budget_sd: float = 0.35
    confounding: float = 1.0
    confounded_sd: float = 0.05
    noise: float = 0.15
    weekly_season: float = 0.15
    yearly_season: float = 0.18
    demand_sd: float = 0.12
    market_sd: float = 0.08
    demand_memory: float = 0.9
    spread: float = 0.15
    zero_spend_rate: float = 0.0
    partial_day_rate: float = 0.0
    seed: int = 7
    plan: tuple[Campaign, ...] | None = None
    first_campaign: int = 0

    def __post_init__(self) -> None:
        """Refuse values that would give a silent nonsense world.

        Raises:
            ValueError: naming the field and the value.
        """
        if self.days < 1 or (self.plan is None and self.campaigns < 1):
            msg = f"days and campaigns must be at least 1, not {self.days} and {self.campaigns}"
            raise ValueError(msg)
        if self.response not in ("power", "hill", "adstock", "none"):
            msg = f"response must be power, hill, adstock or none, not {self.response!r}"
            raise ValueError(msg)
        if self.budgets not in ("exogenous", "confounded", "constant"):
            msg = f"budgets must be exogenous, confounded or constant, not {self.budgets!r}"
            raise ValueError(msg)
        if not 0 <= self.adstock_decay < 1:
            msg = f"adstock_decay must lie in [0, 1), not {self.adstock_decay}"
            raise ValueError(msg)
        for channel, value in self.elasticities.items():
            if not 0 < value < 1:
                msg = f"the elasticity of {channel} must lie between 0 and 1, not {value}"
                raise ValueError(msg)
        if not 1 <= self.segments_per_campaign <= len(self.segments):
            msg = f"segments_per_campaign must lie in 1..{len(self.segments)}"
            raise ValueError(msg)
        for group in self.groups:
            if group not in GROUPS:
                msg = f"unknown group {group!r}; there are {', '.join(GROUPS)}"
                raise ValueError(msg)


@dataclass(frozen=True)
class Simulation:
    """What `simulate` returns.

    Attributes:
        config: the configuration that made it.
        frame: one row per campaign x channel x segment x date; the columns of `COLUMNS`; counts
            int64, money float64 with two decimals, date datetime64. Sorted by series and date.
        truth: one row per series, also of a series that has stopped:
            response, elasticity (local, at recent spend; of a lasting change), group,
            ref_cost (money per day), roas (at ref_cost, average demand), recent_cost (mean daily
            spend over the rows of the last 28 days; 0 if there are none), stock (carried-over
            spend), shock (log demand against the season on the last day), trend_level and
            trend_per_day (log efficiency on the last day, and its change per day), budgets.
    """

    config: SimulationConfig
    frame: pd.DataFrame
    truth: pd.DataFrame

    def expected_revenue(
        self, multiplier: float = 1.0, *, horizon: int = 28, plan: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """True expected cost and revenue of the next days under a budget.

        The default plan holds each series' mean daily spend of its last 28 days. Demand is the
        season of those days and what is expected to remain of the last day's shock; it does not
        depend on the budget, so `revenue(1.2) / revenue(1)` is the true effect of 20 % more.

        Args:
            multiplier: factor on every planned cost, >= 0.
            horizon: days after the last simulated day; ignored when `plan` is given.
            plan: columns campaign_id, channel, segment, date, cost (money per day), at most one
                row per series and day, dates after the last simulated day.

        Returns:
            One row per series x date: campaign_id, channel, segment, date, cost, revenue.

        Raises:
            ValueError: when the multiplier is negative, or a plan names an unknown series, a
                day that is already simulated, or a day twice.
        """
        if multiplier < 0:
            msg = f"multiplier must not be negative, it is {multiplier}"
            raise ValueError(msg)
        last = np.datetime64(self.config.start, "D") + self.config.days - 1
        truth = self.truth
        if plan is None:
            offsets = np.arange(1, horizon + 1)
            cost = np.repeat(truth["recent_cost"].to_numpy()[:, None], horizon, axis=1)
            given = np.ones_like(cost, dtype=bool)
        else:
            series = pd.MultiIndex.from_frame(truth[KEYS])
            rows = series.get_indexer(pd.MultiIndex.from_frame(plan[KEYS]))
            ahead = (pd.to_datetime(plan["date"]).to_numpy().astype("datetime64[D]") - last).astype(
                int
            )
            if (rows < 0).any() or (ahead < 1).any():
                msg = "a plan may only name simulated series and days after the simulation"
                raise ValueError(msg)
            if plan.duplicated([*KEYS, "date"]).any():
                msg = "a plan may name a series and a day only once"
                raise ValueError(msg)
            offsets = np.arange(1, int(ahead.max()) + 1)
            cost = np.zeros((len(truth), len(offsets)))
            given = np.zeros_like(cost, dtype=bool)
            cost[rows, ahead - 1] = plan["cost"].to_numpy(dtype=float)
            given[rows, ahead - 1] = True
        cost = cost * multiplier
        revenue = self._future_revenue(cost, offsets, last + offsets)
        series_index, day_index = np.nonzero(given)
        result = truth.loc[truth.index[series_index], KEYS].reset_index(drop=True)
        result["date"] = (last + offsets)[day_index].astype("datetime64[ns]")
        result["cost"] = cost[given]
        result["revenue"] = revenue[given]
        return result

    def _future_revenue(
        self, cost: np.ndarray, offsets: np.ndarray, days: np.ndarray
    ) -> np.ndarray:
        """Expected revenue, series x day, of planned costs of the same shape."""
        config, truth = self.config, self.truth

        def column(name: str) -> np.ndarray:
            return truth[name].to_numpy(dtype=float)[:, None]

        if config.response == "none":
            return np.repeat(column("roas") * column("ref_cost"), len(offsets), axis=1)
        spend = cost
        if config.response == "adstock":
            spend = np.empty_like(cost)
            stock = truth["stock"].to_numpy(dtype=float)
            for day in range(cost.shape[1]):
                stock = (1 - config.adstock_decay) * cost[:, day] + config.adstock_decay * stock
                spend[:, day] = stock
        effect = _response(config.response, spend / column("ref_cost"), column("ref_elasticity"))
        # What is left of a shock after h days, and the variance that the new days add to its exp.
        memory = config.demand_memory**offsets
        variance = config.demand_sd**2 + config.market_sd**2
        shock = np.exp(column("shock") * memory + variance * (1 - memory**2) / 2 - variance / 2)
        trend = np.exp(column("trend_level") + column("trend_per_day") * offsets)
        return column("roas") * column("ref_cost") * effect * _season(config, days) * shock * trend


def _response(response: Response, m: np.ndarray, elasticity: np.ndarray | float) -> np.ndarray:
    """Effect of spend, 1 at m = 1; `m` is spend (or its carried-over stock) / ref_cost."""
    if response == "hill":
        k = elasticity / (1 - elasticity)
        return m / (k + m) * (k + 1)
    return np.power(m, elasticity)


def _season(config: SimulationConfig, days: np.ndarray) -> np.ndarray:
    """Demand factor of each day (datetime64[D]), about 1 on average."""
    if config.response == "none":
        return np.ones(len(days))
    weekday = (days.astype(int) + 3) % 7  # 1970-01-01 was a Thursday
    day_of_year = (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1
    yearly = np.cos(2 * np.pi * (day_of_year - _YEARLY_PEAK_DAY) / 365.25)
    return (1 + config.weekly_season * _WEEKDAY_SHAPE[weekday]) * (
        1 + config.yearly_season * yearly
    )


def _carry(values: np.ndarray, memory: float) -> np.ndarray:
    """y[t] = values[t] + memory * y[t-1], without a loop over the days."""
    result = values.copy()
    step = 1
    while step < len(result) and memory > 0:
        shifted = result[:-step] * memory**step
        result[step:] += shifted
        step *= 2
    return result


def _shocks(rng: np.random.Generator, days: int, sd: float, memory: float) -> np.ndarray:
    """A stationary AR(1) path with the given sd."""
    steps = rng.standard_normal(days) * sd
    steps[1:] *= np.sqrt(1 - memory**2)
    return _carry(steps, memory)


def _stream(config: SimulationConfig, *key: int) -> np.random.Generator:
    """A random stream of its own for each purpose, so that no draw depends on another's number."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(config.seed, spawn_key=key)))


def _market(config: SimulationConfig) -> dict[str, np.ndarray]:
    """Demand shocks (log) that all series of a channel share."""
    channels = config.channels if config.plan is None else {c.channel for c in config.plan}
    return {
        channel: _shocks(
            _stream(config, 0, *channel.encode()),
            config.days,
            config.market_sd,
            config.demand_memory,
        )
        for channel in sorted(channels)
    }


def _planned(config: SimulationConfig) -> list[tuple[int, Campaign]]:
    """The campaigns with their numbers: the plan, or one dealt out from the configuration."""
    if config.plan is not None:
        return list(enumerate(config.plan))
    planned = []
    for number in range(config.first_campaign, config.first_campaign + config.campaigns):
        channel = config.channels[number % len(config.channels)]
        group = config.groups[number // len(config.channels) % len(config.groups)]
        segments = tuple(
            config.segments[(number + i) % len(config.segments)]
            for i in range(config.segments_per_campaign)
        )
        name = f"{channel.title()} {number + 1:03d}"
        planned.append((number, Campaign(name, channel, segments, group)))
    return planned


def _spend(
    config: SimulationConfig,
    budgets: Budgets,
    key: tuple[int, int],
    ref_cost: float,
    demand: np.ndarray,
) -> np.ndarray:
    """Money spent per day, two decimals."""
    rng = _stream(config, 2, *key)
    daily = rng.standard_normal(config.days)
    weekly = _stream(config, 3, *key)
    if config.response == "none":
        log_m = daily * config.budget_sd
    elif budgets == "exogenous":
        shift = int(weekly.integers(7))
        levels = weekly.standard_normal(config.days // 7 + 2)
        week = (np.arange(config.days) + shift) // 7
        log_m = levels[week] * config.budget_sd + daily * 0.08
    elif budgets == "confounded":
        log_m = config.confounding * np.log(demand) + daily * config.confounded_sd
    else:
        log_m = daily * 0.01
    spend = ref_cost * np.exp(log_m)
    chance = _stream(config, 4, *key).random((config.days, 2))
    partial = chance[:, 0] < config.partial_day_rate
    spend = np.where(partial, spend * (0.004 + 0.016 * chance[:, 1]), spend)
    off = _stream(config, 5, *key).random(config.days) < config.zero_spend_rate
    return np.round(np.where(off, 0.0, spend), 2)


def _funnel(
    config: SimulationConfig,
    key: tuple[int, int],
    media: Media,
    group: Group,
    cost: np.ndarray,
    expected: np.ndarray,
    roas: float,
) -> dict[str, np.ndarray]:
    """Counts and revenue per day of a series that spends `cost` and is expected to earn."""
    ctr = min(media.ctr * group.ctr_factor, 0.5)
    cvr = media.cvr * group.cvr_factor
    basket = roas * media.cpm / 1000 / ctr / cvr
    jitter = np.exp(0.05 * _stream(config, 6, *key).standard_normal(config.days))
    impressions = _stream(config, 7, *key).poisson(cost / media.cpm * 1000 * jitter)
    clicks = _stream(config, 8, *key).binomial(impressions, ctr)
    sd = 1.0 if config.response == "none" else config.noise
    noise = np.exp(sd * _stream(config, 9, *key).standard_normal(config.days) - sd**2 / 2)
    conversions = _stream(config, 10, *key).poisson(expected / basket * noise)
    value = np.exp(0.1 * _stream(config, 11, *key).standard_normal(config.days) - 0.005)
    # Carried-over effect can convert on a day with hardly a click: those visits count as clicks.
    clicks = np.maximum(clicks, conversions)
    impressions = np.maximum(impressions, clicks)
    leads = conversions + _stream(config, 12, *key).binomial(clicks - conversions, media.lead_rate)
    return {
        "impressions": impressions,
        "clicks": clicks,
        "leads": leads,
        "conversions": conversions,
        "cost": cost,
        "revenue": np.round(conversions * basket * value, 2),
    }


def _series(
    config: SimulationConfig,
    number: int,
    campaign: Campaign,
    position: int,
    market: np.ndarray,
) -> tuple[pd.DataFrame, dict[str, object]]:
    """Rows and truth of one campaign x segment."""
    key = (number, position)
    segment = campaign.segments[position]
    days = np.datetime64(config.start, "D") + np.arange(config.days)
    pure_noise = config.response == "none"
    group = _NO_GROUP if pure_noise else GROUPS[campaign.group]
    media = MEDIA.get(campaign.channel, _OTHER_MEDIA)
    elasticity = 0.0 if pure_noise else config.elasticities.get(campaign.channel, 0.7)

    size, quality = _stream(config, 1, number).standard_normal(2) * config.spread
    if pure_noise:
        size = quality = 0.0
    several = len(campaign.segments) > 1
    share = 1.0 if not several else 0.6 if position == 0 else 0.4 / (len(campaign.segments) - 1)
    ref_cost = group.daily_cost * share * float(np.exp(size))
    roas = group.roas * float(np.exp(quality))
    if not pure_noise:
        roas *= SEGMENT_ROAS.get(segment, 1.0)

    own = _shocks(_stream(config, 13, *key), config.days, config.demand_sd, config.demand_memory)
    shock = own + market
    variance = config.demand_sd**2 + config.market_sd**2
    demand = _season(config, days) * np.exp(shock - variance / 2)
    turn = np.datetime64(campaign.trend_from or config.start, "D")
    since = np.maximum((days - turn).astype(int), 0)
    log_trend = campaign.trend / 28 * since

    budgets = campaign.budgets or config.budgets
    cost = _spend(config, budgets, key, ref_cost, demand)
    first = np.datetime64(campaign.start or config.start, "D")
    last = np.datetime64(campaign.end, "D") if campaign.end else days[-1]
    running = (days >= first) & (days <= last)
    if campaign.pause:
        gap = np.array(campaign.pause, dtype="datetime64[D]")
        running &= (days < gap[0]) | (days > gap[1])
    cost = np.where(running, cost, 0.0)

    stock = cost
    if config.response == "adstock":
        begun = cost.copy() * (1 - config.adstock_decay)
        begun[0] = cost[0]  # as if the first day's spend had gone on before
        stock = _carry(begun, config.adstock_decay)
    if pure_noise:
        expected = np.full(config.days, roas * ref_cost)
    else:
        effect = _response(config.response, stock / ref_cost, elasticity)
        expected = roas * ref_cost * effect * demand * np.exp(log_trend)
    measures = _funnel(config, key, media, group, cost, expected, roas)

    campaign_id = f"C{number + 1:03d}"
    frame = pd.DataFrame(
        {
            "campaign_id": campaign_id,
            "campaign_name": campaign.name,
            "channel": campaign.channel,
            "segment": segment,
            "date": days.astype("datetime64[ns]"),
            **measures,
        }
    )[running]

    recent = running[-RECENT_DAYS:]
    recent_cost = float(cost[-RECENT_DAYS:][recent].mean()) if recent.any() else 0.0
    local = elasticity
    if config.response == "hill":
        k = elasticity / (1 - elasticity)
        local = k / (k + recent_cost / ref_cost)
    truth: dict[str, object] = {
        "campaign_id": campaign_id,
        "campaign_name": campaign.name,
        "channel": campaign.channel,
        "segment": segment,
        "group": "none" if pure_noise else campaign.group,
        "budgets": budgets,
        "response": config.response,
        "elasticity": local,
        "ref_elasticity": elasticity,
        "ref_cost": ref_cost,
        "roas": roas,
        "recent_cost": recent_cost,
        "stock": float(stock[-1]),
        "shock": float(shock[-1]),
        "trend_level": float(log_trend[-1]),
        "trend_per_day": campaign.trend / 28 if days[-1] >= turn else 0.0,
    }
    return frame, truth


def simulate(config: SimulationConfig) -> Simulation:
    """Simulate all campaigns of a configuration.

    Args:
        config: what to simulate; about campaigns x segments_per_campaign x days rows.

    Returns:
        The rows and the truth behind them.

    Raises:
        ValueError: when a plan leaves no row at all.
    """
    market = _market(config)
    made = [
        _series(config, number, campaign, position, market[campaign.channel])
        for number, campaign in _planned(config)
        for position in range(len(campaign.segments))
    ]
    frame = pd.concat([rows for rows, _ in made], ignore_index=True)
    if frame.empty:
        msg = "no campaign of the plan runs on any simulated day"
        raise ValueError(msg)
    return Simulation(config, frame, pd.DataFrame([truth for _, truth in made]))


def simulate_pieces(
    config: SimulationConfig, campaigns_per_piece: int = 500
) -> Iterator[Simulation]:
    """The same as `simulate`, a bounded number of campaigns at a time.

    Args:
        config: what to simulate; without a `plan`.
        campaigns_per_piece: campaigns in memory at once.

    Yields:
        Simulations whose frames, one after the other, equal the frame of the whole.

    Raises:
        ValueError: when the configuration has a plan.
    """
    if config.plan is not None:
        msg = "a hand-written plan is small: use simulate"
        raise ValueError(msg)
    end = config.first_campaign + config.campaigns
    for first in range(config.first_campaign, end, campaigns_per_piece):
        count = min(campaigns_per_piece, end - first)
        yield simulate(replace(config, first_campaign=first, campaigns=count))


def _demo_plan() -> tuple[Campaign, ...]:
    """The thirty campaigns of the demo shop."""
    new, returning, loyal = "new_customers", "returning", "loyal"
    winner, gem = "high_roas_high_spend", "high_roas_low_spend"
    burner, minor, leaky = "low_roas_high_spend", "low_roas_low_spend", "leaky_funnel"
    autumn, late = date(2025, 9, 1), date(2025, 11, 1)
    return (
        Campaign("Brand Search", "search", (loyal,), winner),
        Campaign("Generic Search", "search", (new,), burner),
        Campaign("Shopping Feed", "search", (new, returning), winner),
        Campaign("Rival Terms", "search", (new,), minor, trend_from=late, trend=-0.3),
        Campaign("Local Stores", "search", (returning,), gem),
        Campaign("Long Tail", "search", (new,), gem, trend_from=autumn, trend=0.05),
        Campaign("Prospecting", "social", (new,), burner, trend_from=late, trend=-0.25),
        Campaign("Retargeting", "social", (returning,), winner, budgets="confounded"),
        Campaign("Story Ads", "social", (new,), leaky),
        Campaign("Lookalikes", "social", (new, returning), leaky),
        Campaign(
            "Valentine's Gifts",
            "social",
            (returning,),
            gem,
            start=date(2025, 1, 20),
            end=date(2025, 2, 16),
        ),
        Campaign("Creator Posts", "social", (new,), gem, start=autumn),
        Campaign("Weekly News", "email", (loyal,), gem, budgets="constant"),
        Campaign("Win-back", "email", (returning,), minor),
        Campaign("Welcome", "email", (new,), gem),
        Campaign("Cart Reminder", "email", (returning,), winner),
        Campaign("Loyalty Club", "email", (loyal,), winner),
        Campaign("Birthday Offer", "email", (loyal,), minor, budgets="constant"),
        Campaign("Banner Reach", "display", (new,), burner, trend_from=late, trend=-0.25),
        Campaign("Retarget Ads", "display", (returning, loyal), leaky),
        Campaign("Partner Sites", "display", (new,), minor, end=date(2025, 9, 30)),
        Campaign("Affiliates", "display", (returning,), gem),
        Campaign(
            "Summer Sale",
            "display",
            (new,),
            leaky,
            start=date(2025, 6, 10),
            end=date(2025, 8, 24),
        ),
        Campaign("Test Sites", "display", (new,), minor),
        Campaign("Pre-roll", "video", (new,), burner),
        Campaign("How-to Films", "video", (returning,), gem),
        Campaign(
            "Brand Film",
            "video",
            (new,),
            burner,
            pause=(date(2025, 7, 1), date(2025, 8, 31)),
        ),
        Campaign("Short Clips", "video", (new,), leaky, trend_from=late, trend=-0.8),
        Campaign("Product Demo", "video", (returning, loyal), winner),
        Campaign(
            "Black Friday",
            "video",
            (returning,),
            leaky,
            start=date(2025, 11, 10),
            end=date(2025, 12, 2),
        ),
    )


def demo_config(days: int = 365) -> SimulationConfig:
    """The demo: thirty campaigns of a web shop from 2025-01-01.

    Spend saturates by a Hill curve, which is not the family that the forecast assumes.

    Args:
        days: length; a longer demo begins with the rows of the shorter one.

    Returns:
        The configuration.
    """
    return SimulationConfig(
        days=days,
        start=date(2025, 1, 1),
        response="hill",
        budgets="exogenous",
        zero_spend_rate=0.006,
        partial_day_rate=0.006,
        seed=2025,
        plan=_demo_plan(),
    )


def to_csv(frame: pd.DataFrame) -> str:
    """The frame as the text of a canonical CSV: ISO dates, two decimals, LF, quotes if needed."""
    text = frame.assign(
        date=frame["date"].dt.strftime("%Y-%m-%d"),
        cost=frame["cost"].map("{:.2f}".format),
        revenue=frame["revenue"].map("{:.2f}".format),
    )
    return str(text[list(COLUMNS)].to_csv(index=False, lineterminator="\n"))


SAMPLE_HEADERS = {
    "campaign_id": "Campaign ID",
    "campaign_name": "Campaign Name",
    "channel": "Channel",
    "segment": "Audience",
    "date": "Day",
    "impressions": "Impressions",
    "clicks": "Clicks",
    "leads": "Leads",
    "conversions": "Orders",
    "cost": "Spend",
    "revenue": "Revenue",
}
_SAMPLE_CAMPAIGNS = ("C001", "C005", "C008", "C013", "C019", "C024", "C026")


def sample_csv() -> str:
    """The text of `data/sample_marketing.csv`: January 2026 of seven campaigns, not yet cleaned.

    Own headers, semicolons, and the dirty rows that data/README.md lists.
    """
    year = simulate(demo_config(days=365 + 31)).frame
    month = year[
        year["campaign_id"].isin(_SAMPLE_CAMPAIGNS) & (year["date"] >= pd.Timestamp(2026, 1, 1))
    ].sort_values(["date", "campaign_id"])
    rows = list(csv.DictReader(io.StringIO(to_csv(month))))
    for row in rows:
        row["channel"] = row["channel"].title()
        row["segment"] = row["segment"].replace("_", " ").title()
    # Dirt on fixed rows, so that data/README.md can name the lines of the file.
    rows[9]["channel"] = "sOCIAL"
    rows[31]["impressions"] = "n/a"
    rows[60]["date"] = "2026-01-32"
    rows[89]["cost"] = "-" + rows[89]["cost"]
    rows[118]["campaign_name"] += "   "
    rows[118]["channel"] += " "
    rows[140]["revenue"] = ""
    rows[174]["clicks"] = "12 clicks"
    rows.insert(103, dict(rows[102]))
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\n")
    writer.writerow(SAMPLE_HEADERS.values())
    writer.writerows([row[column] for column in SAMPLE_HEADERS] for row in rows)
    return out.getvalue()


def write_demo(root: Path) -> dict[Path, int]:
    """Write the demo's data files; the same bytes each time.

    Args:
        root: the project folder; seeds/ and data/ are created when missing.

    Returns:
        Path -> number of bytes.
    """
    texts = {
        root / "seeds" / "marketing_clean.csv": to_csv(simulate(demo_config()).frame),
        root / "data" / "sample_marketing.csv": sample_csv(),
    }
    sizes = {}
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        sizes[path] = path.write_bytes(text.encode())
    return sizes


def main(
    root: Annotated[
        Path, typer.Option(help="Project folder that gets seeds/ and data/.", file_okay=False)
    ] = Path(),
    rows: Annotated[
        int, typer.Option(help="Write about this many rows of a larger world instead.", min=0)
    ] = 0,
    into: Annotated[
        Path, typer.Option(help="Folder for the pieces of the larger world.", file_okay=False)
    ] = Path("lake/simulated"),
) -> None:
    """Write the demo data, or with --rows a larger world as numbered CSV pieces."""
    if not rows:
        for path, size in write_demo(root).items():
            typer.echo(f"{path}: {size:,} bytes")
        return
    config = SimulationConfig(campaigns=max(rows // 365, 1), days=365, response="hill")
    into.mkdir(parents=True, exist_ok=True)
    written = 0
    for number, piece in enumerate(simulate_pieces(config)):
        (into / f"part-{number:05d}.csv").write_text(to_csv(piece.frame), encoding="utf-8")
        written += len(piece.frame)
        typer.echo(f"{written:,} rows")


if __name__ == "__main__":
    typer.run(main)
