"""Small and odd data, each a frame with the columns of marketing_kpi (money as float)."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from marketing_ai.ml.panel import COUNTS, KEYS, Snapshot

COLUMNS = [*KEYS, "campaign_name", "date", *COUNTS, "cost", "revenue"]


def rows(
    campaigns: int = 12,
    days: int = 70,
    channels: int = 3,
    segments: int = 2,
    seed: int = 1,
    elasticity: float = 0.7,
    noise: float = 0.2,
    sd: float = 0.3,
) -> pd.DataFrame:
    """Plain campaigns: spend wanders, revenue follows with one elasticity."""
    rng = np.random.default_rng(seed)
    parts = []
    for i in range(campaigns):
        base, roas = float(np.exp(rng.normal(4, 0.7))), float(np.exp(rng.normal(0.8, 0.3)))
        cost = base * np.exp(sd * rng.standard_normal(days))
        revenue = roas * base * (cost / base) ** elasticity
        revenue = revenue * np.exp(noise * rng.standard_normal(days))
        clicks = np.maximum(1, (cost * 2).astype(int))
        parts.append(
            pd.DataFrame(
                {
                    "campaign_id": f"c{i:02d}",
                    "channel": f"channel {i % channels}",
                    "segment": f"segment {i % segments}",
                    "campaign_name": f"Campaign {i}",
                    "date": pd.date_range("2025-01-01", periods=days),
                    "impressions": clicks * 40,
                    "clicks": clicks,
                    "leads": clicks // 5,
                    "conversions": clicks // 10,
                    "cost": cost.round(2),
                    "revenue": revenue.round(2),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def noise(n: int = 10_000, seed: int = 0, campaigns: int = 50) -> pd.DataFrame:
    """Independent rows: nothing has to do with anything."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "campaign_id": [f"c{i:02d}" for i in rng.integers(0, campaigns, n)],
            "campaign_name": None,
            "date": pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 180, n), "D"),
            "impressions": rng.integers(1000, 100_000, n),
            "clicks": rng.integers(10, 1000, n),
            "leads": rng.integers(5, 100, n),
            "conversions": rng.integers(0, 50, n),
            "cost": rng.lognormal(4, 1, n).round(2),
            "revenue": rng.lognormal(5, 1, n).round(2),
        }
    )
    frame["channel"] = rng.choice(["email", "search", "social"], n)
    frame["segment"] = rng.choice(["a", "b"], n)
    return frame[COLUMNS]


def snapshot(frame: pd.DataFrame) -> Snapshot:
    """What ``read_snapshot`` gives for the frame, without Spark."""
    data = frame.copy()
    data["date"] = pd.to_datetime(data["date"])
    dated = data[data["date"].notna()]
    sums = (
        dated.groupby([*KEYS, "date"], sort=True)
        .agg(
            {
                "campaign_name": "max",
                **{name: lambda c: c.sum(min_count=1) for name in [*COUNTS, "cost", "revenue"]},
            }
        )
        .reset_index()
        if len(dated)
        else pd.DataFrame(columns=COLUMNS)
    )
    days = [d.date() for d in dated["date"]]
    return Snapshot(
        frame=sums,
        data_hash=f"test-{len(data)}",
        n_rows=len(data),
        n_undated=int(data["date"].isna().sum()),
        n_without_revenue=int(pd.to_numeric(data["revenue"], errors="coerce").isna().sum()),
        first_date=min(days, default=None),
        last_date=max(days, default=None),
        n_campaigns=int(sums["campaign_id"].nunique()) if len(sums) else 0,
    )


def cases() -> dict[str, pd.DataFrame]:
    """Name -> frame."""
    plain = rows()
    return {
        "empty": plain.iloc[:0],
        "ten campaigns": rows(campaigns=10, days=28),
        "one campaign": rows(campaigns=1, channels=1, segments=1),
        "one channel": rows(channels=1),
        "one day": rows(days=1),
        "one row": rows(campaigns=1, days=1),
        "two days": rows(days=2),
        "no dates": plain.assign(date=pd.NaT),
        "some dates missing": plain.assign(date=plain["date"].where(plain.index % 7 != 0)),
        "no revenue": plain.assign(revenue=np.nan),
        "some revenue unknown": plain.assign(revenue=plain["revenue"].where(plain.index % 9 != 0)),
        "revenue all zero": plain.assign(revenue=0.0),
        "cost all zero": plain.assign(cost=0.0),
        "a campaign without spend": plain.assign(
            cost=plain["cost"].where(plain["campaign_id"] != "c03", 0.0)
        ),
        "a campaign without revenue": plain.assign(
            revenue=plain["revenue"].where(plain["campaign_id"] != "c03", 0.0)
        ),
        "nan and infinite": plain.assign(
            cost=plain["cost"].where(plain.index != 5, np.nan),
            revenue=plain["revenue"].where(plain.index != 9, np.inf),
        ),
        "huge": plain.assign(revenue=plain["revenue"].where(plain.index != 100, 9.9e13)),
        "huge costs": plain.assign(cost=plain["cost"] * 1e10, revenue=plain["revenue"] * 1e10),
        "tiny": plain.assign(cost=plain["cost"] * 1e-4, revenue=plain["revenue"] * 1e-4),
        "refunds": plain.assign(revenue=plain["revenue"].where(plain.index % 5 != 0, -50.0)),
        "negative cost": plain.assign(cost=plain["cost"].where(plain.index % 50 != 0, -1.0)),
        "no counts": plain.assign(**dict.fromkeys(COUNTS, np.nan)),
        "constant budgets": rows(sd=0.0),
        "sparse days": plain[plain.index % 6 == 0],
        "a gap of a month": plain[(plain["date"] < "2025-01-20") | (plain["date"] > "2025-02-20")],
        "all stopped": plain[plain["date"] < "2025-02-10"].pipe(
            lambda d: pd.concat([d, d.iloc[[0]].assign(date=dt.datetime(2025, 3, 20), cost=0.0)])
        ),
        "same campaigns everywhere": plain.assign(campaign_id="c00"),
        "late start": plain[(plain["campaign_id"] != "c01") | (plain["date"] > "2025-03-08")],
    }
