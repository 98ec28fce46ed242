"""Errors of a forecast on the units a marketer thinks in."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def scores(actual: Array, predicted: Array) -> dict[str, float | None]:
    """MAE, WAPE, R2 and bias of n forecasts; None where undefined.

    WAPE is the sum of absolute errors over the sum of absolute actuals; bias the sum of errors
    over the same.
    """
    if len(actual) == 0:
        return {"mae": None, "wape": None, "r2": None, "bias": None}
    error = predicted - actual
    total = float(np.abs(actual).sum())
    spread = float(((actual - actual.mean()) ** 2).sum())
    return {
        "mae": float(np.abs(error).mean()),
        "wape": float(np.abs(error).sum()) / total if total > 0 else None,
        "r2": 1.0 - float((error**2).sum()) / spread if spread > 0 else None,
        "bias": float(error.sum()) / total if total > 0 else None,
    }


def group_sum(values: Array, code: Array, n: int) -> Array:
    """Sum rows (S x d, or S) by code into n groups (sum over days too)."""
    flat = values.sum(axis=1) if values.ndim == 2 else values
    return np.bincount(code, flat, minlength=n)


def psi(expected: Array, observed: Array) -> float:
    """Population stability index of two distributions given as shares of the same bins."""
    a = np.maximum(expected / max(expected.sum(), 1e-12), 1e-4)
    b = np.maximum(observed / max(observed.sum(), 1e-12), 1e-4)
    return float(((b - a) * np.log(b / a)).sum())
