"""80 % intervals from what past forecasts missed, scaled by size (conformal).

A score is |actual - forecast| / (forecast + typical forecast): a big campaign is allowed a big
error in money, a tiny one is not punished for a tiny base. Scores are ranked within terciles of
the forecast, because the biggest third is where the money is.
"""

from __future__ import annotations

import dataclasses

import numpy as np

Array = np.ndarray
MIN_SCORES = 20  # fewer residuals: no interval (the 80 % rank of 20 already rests on 4 points)
LEVEL = 0.8


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Edges between thirds of the forecast, a score limit for each third, the typical forecast."""

    edges: Array
    limits: Array
    typical: float

    def bounds(self, predicted: Array) -> tuple[Array, Array]:
        """Lower and upper bound for each forecast; never below 0."""
        third = np.searchsorted(self.edges, predicted, side="right")
        half = self.limits[third] * (predicted + self.typical)
        return np.maximum(predicted - half, 0.0), predicted + half


def _limit(scores: Array, level: float) -> float:
    """Finite-sample conformal quantile: rank ceil((n + 1) * level), at most the largest score."""
    ordered = np.sort(scores)
    rank = min(len(ordered), int(np.ceil((len(ordered) + 1) * level)))
    return float(ordered[rank - 1])


def calibrate(
    predicted: Array, actual: Array, level: float = LEVEL, min_scores: int = MIN_SCORES
) -> Calibration | None:
    """Learn the interval from past forecasts.

    Args:
        predicted: n forecasts of units that were planned to be active.
        actual: n outcomes.
        level: share of outcomes to be covered.
        min_scores: fewest residuals for an interval.

    Returns:
        None where there are too few residuals to say anything.
    """
    use = np.isfinite(predicted) & np.isfinite(actual) & (predicted > 0)
    p, y = predicted[use], actual[use]
    if len(p) < min_scores:
        return None
    typical = float(np.median(p))
    scores = np.abs(y - p) / (p + typical)
    edges = np.quantile(p, [1 / 3, 2 / 3])
    third = np.searchsorted(edges, p, side="right")
    pooled = _limit(scores, level)
    limits = np.array(
        [
            _limit(scores[third == t], level) if (third == t).sum() >= MIN_SCORES else pooled
            for t in range(3)
        ]
    )
    return Calibration(edges, limits, typical)
