"""Settings of both models, with the reason for each default in the model cards."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def _multipliers(text: Any) -> tuple[float, ...]:
    """Read ``"0.5, 1, 2"`` or a list as sorted multipliers that always contain 1."""
    items = text.split(",") if isinstance(text, str) else list(text)
    values = sorted({float(item) for item in items} | {1.0})
    if not all(0 < value < 100 for value in values):
        raise ValueError(f"scenario multipliers must be above 0 and below 100, got {values}")
    return tuple(values)


@dataclasses.dataclass(frozen=True)
class ForecastSettings:
    """Settings of the revenue model. Money is in the project's currency, time in days."""

    as_of_date: dt.date | None = None
    horizon_days: int = 28
    train_weeks: int = 52
    backtest_origins: int = 12
    refit_every: int = 4
    trees: int = 40
    depth: int = 6
    seed: int = 7
    prior_elasticity: float = 0.7
    gate_gain: float = 0.02
    max_change: float = 0.3
    max_rows: int = 1_000_000
    multipliers: tuple[float, ...] = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5, 2.0)

    def __post_init__(self) -> None:
        if not 1 <= self.horizon_days <= 28:
            raise ValueError(f"forecast_horizon_days must be 1 to 28, got {self.horizon_days}")
        if not 0 < self.max_change <= 1:
            raise ValueError(f"reallocation_max_change must be in (0, 1], got {self.max_change}")


@dataclasses.dataclass(frozen=True)
class SegmentSettings:
    """Settings of the segmentation."""

    as_of_date: dt.date | None = None
    window_days: int = 90
    min_active_days: int = 14
    min_campaigns: int = 20
    k_min: int = 3
    k_max: int = 6
    seed: int = 7
    restarts: int = 10
    resamples: int = 40
    target_roas: float | None = None


_READERS: dict[str, Callable[[Any], Any]] = {
    "as_of_date": lambda value: (
        value if isinstance(value, dt.date) else dt.date.fromisoformat(str(value))
    ),
    "multipliers": _multipliers,
    "target_roas": float,
}


def read_settings(kind: type[T], values: Mapping[str, Any]) -> T:
    """Build settings from text or numbers, e.g. dbt vars.

    Args:
        kind: ``ForecastSettings`` or ``SegmentSettings``.
        values: name -> value; a missing name, None or "" keeps the default.

    Raises:
        ValueError: a value cannot be read; the message names the setting.
    """
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        default: Any = field.default
        value = values.get(field.name)
        if value is None or value == "" or str(value).lower() == "none":
            continue
        reader = _READERS.get(field.name) or type(default)
        try:
            changes[field.name] = reader(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"setting {field.name} = {value!r}: {error}") from error
    return kind(**changes)


def as_json(settings: ForecastSettings | SegmentSettings) -> str:
    """Settings as one sorted JSON text, part of the run_id."""
    return json.dumps(dataclasses.asdict(settings), sort_keys=True, default=str)
