"""Segments: planted groups are found and named, noise is refused, codes stay."""

from __future__ import annotations

import numpy as np
import odd
import pandas as pd
import pytest

from marketing_ai.ml import clusters, naming, segments
from marketing_ai.ml.settings import SegmentSettings
from marketing_ai.simulate import SimulationConfig, simulate

SETTINGS = SegmentSettings()
FAST = SegmentSettings(resamples=8, restarts=3)
CASES = odd.cases()


def tables(frame: pd.DataFrame, settings: SegmentSettings = SETTINGS) -> dict[str, pd.DataFrame]:
    made = segments.segment_tables(None, odd.snapshot(frame), settings)
    return {name: part.dropna(axis=1, how="all") for name, part in made.groupby("output")}


@pytest.fixture(scope="module")
def planted() -> object:
    return simulate(SimulationConfig(campaigns=60, days=120, seed=3))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_planted_groups_are_recovered(seed: int) -> None:
    planted = simulate(SimulationConfig(campaigns=60, days=120, seed=seed))
    made = tables(planted.frame)
    assert made["model_runs"]["verdict"].iloc[0] == "segments"
    truth = planted.truth.drop_duplicates("campaign_id").set_index("campaign_id")["group"]
    got = made["campaign_segments"].set_index("campaign_id")["segment_code"]
    assert clusters.adjusted_rand(truth.reindex(got.index).to_numpy(), got.to_numpy()) >= 0.9
    assert set(made["campaign_segments"]["method"]) == {"kmeans"}


def test_names_are_the_same_in_twenty_shuffles(planted) -> None:
    quick = SegmentSettings(resamples=3, restarts=2)
    first = segments.segment_tables(None, odd.snapshot(planted.frame), quick)
    for seed in range(20):
        mixed = planted.frame.sample(frac=1, random_state=seed)
        pd.testing.assert_frame_equal(
            first, segments.segment_tables(None, odd.snapshot(mixed), quick)
        )


def test_noise_is_refused_with_a_reason() -> None:
    made = tables(odd.noise())
    assert made["model_runs"]["verdict"].iloc[0] == "no_signal"
    quality = made["segment_quality"]
    clustered = quality[quality["k"] > 0]
    assert len(clustered) == 4
    assert not clustered["is_chosen"].any()
    assert clustered["reason"].str.startswith("refused").all()
    assert set(made["campaign_segments"]["method"]) == {"rule"}


def test_few_campaigns_are_not_clustered() -> None:
    made = tables(CASES["ten campaigns"])
    assert made["model_runs"]["verdict"].iloc[0] == "rule"
    assert "20 needed" in made["model_runs"]["reason"].iloc[0]
    assert set(made["campaign_segments"]["method"]) == {"rule"}
    names = {name.name for name in naming.QUADRANTS.values()}
    assert set(made["campaign_segments"]["performance_segment"]) <= names


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", list(CASES))
def test_odd_data_give_an_honest_table(name: str) -> None:
    made = tables(CASES[name], FAST)
    assert made["model_runs"]["reason"].iloc[0]
    if "campaign_segments" not in made:
        assert name in {"empty", "no dates", "no revenue"}
        return
    rows = made["campaign_segments"]
    assert not rows["campaign_id"].duplicated().any()
    assert rows["segment_code"].notna().all()
    assert made["segment_profiles"]["n_campaigns"].sum() == len(rows)


def test_the_best_segment_is_one_row(planted) -> None:
    profiles = tables(planted.frame)["segment_profiles"]
    best = profiles[profiles["roi_rank"] == 1]
    assert len(best) == 1
    real = profiles[profiles["segment_code"] != "S0"]
    assert best["roi"].iloc[0] == real["roi"].max()
    assert profiles["cost_share"].sum() == pytest.approx(1.0)
    assert (best["roas"] - 1).iloc[0] == pytest.approx(best["roi"].iloc[0])


def test_where_a_campaign_came_from_is_said(planted) -> None:
    frame = planted.frame.copy()
    rows = tables(frame)["campaign_segments"]
    assert rows["previous_segment"].notna().mean() > 0.9
    assert rows["is_changed"].mean() < 0.2


def test_silhouette_and_rand_agree_with_hand_counts() -> None:
    x = np.array([[0.0], [1.0], [10.0], [11.0]])
    label = np.array([0, 0, 1, 1])
    want = np.mean([1 - 1 / 10.5, 1 - 1 / 9.5, 1 - 1 / 9.5, 1 - 1 / 10.5])
    assert clusters.silhouette(x, label) == pytest.approx(want)
    assert clusters.adjusted_rand(label, np.array([5, 5, 2, 2])) == 1.0
    assert clusters.adjusted_rand(label, np.array([0, 1, 0, 1])) == pytest.approx(-0.5)


def test_kmeans_finds_the_obvious() -> None:
    rng = np.random.default_rng(0)
    x = np.vstack([rng.normal(c, 0.1, (20, 2)) for c in (0, 5, 10)])
    centres = clusters.kmeans(x, 3, rng, 5)
    assert sorted(centres[:, 0].round().tolist()) == [0, 5, 10]
    assert clusters.kmeans(np.ones((5, 2)), 3, rng, 2).shape == (3, 2)


def test_names_follow_absolute_centres_and_never_repeat() -> None:
    z = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 2.0], [-1.0, 1.0, 0.0], [-1.0, -1.0, 0.0]])
    roas, spend = np.array([3.0, 3.0, 0.5, 0.5]), np.array([90.0, 90.0, 90.0, 5.0])
    names = naming.name_segments(roas, spend, z, ["roas", "spend", "cvr"], 2.0, 50.0)
    assert [name.name for name in names] == [
        "Scale winners - lower conversion rate",
        "Scale winners - higher conversion rate",
        "Budget burners",
        "Test or stop",
    ]
    assert len({name.code for name in names}) == 4
    for order in ([3, 1, 0, 2], [2, 0, 1, 3]):
        again = naming.name_segments(
            roas[order], spend[order], z[order], ["roas", "spend", "cvr"], 2.0, 50.0
        )
        assert [name.name for name in again] == [names[i].name for i in order]


def test_the_line_counts_as_at_target_and_low_spend() -> None:
    assert naming.quadrant(2.0, 50.0, 2.0, 50.0).name == "Hidden gems"
    assert naming.quadrant(1.99, 50.01, 2.0, 50.0).name == "Budget burners"


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ((0.6, 0.4, 0.9, 0.8, 2, 3), "smallest segment"),
        ((0.4, 0.4, 0.9, 0.8, 5, 3), "not above chance"),
        ((0.6, 0.4, 0.79, 0.8, 5, 3), "resampled"),
        ((0.6, 0.4, 0.9, None, 5, 3), "too few campaigns"),
        ((0.6, 0.4, 0.9, 0.39, 5, 3), "the next weeks"),
    ],
)
def test_each_check_refuses_by_itself(values: tuple, word: str) -> None:
    assert word in segments._refusal(*values)
    assert segments._refusal(0.6, 0.4, 0.9, 0.8, 5, 3) == ""
