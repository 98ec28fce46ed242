"""Names of segments, from where their centres stand in absolute terms."""

from __future__ import annotations

import dataclasses

import numpy as np

Array = np.ndarray


@dataclasses.dataclass(frozen=True)
class Name:
    """A segment's code, name, meaning and what to do with it."""

    code: str
    name: str
    meaning: str
    action: str


# The code belongs to the meaning, not to a rank: it cannot flip when two segments change places.
QUADRANTS: dict[tuple[bool, bool], Name] = {
    (True, True): Name(
        "S1",
        "Scale winners",
        "Return on spend at or above target, spend above the median",
        "Protect the budget and raise it in steps while the return holds",
    ),
    (True, False): Name(
        "S2",
        "Hidden gems",
        "Return on spend at or above target, spend at or below the median",
        "Raise the budget and watch whether the return holds",
    ),
    (False, True): Name(
        "S3",
        "Budget burners",
        "Return on spend below target, spend above the median",
        "Cut or fix: move budget to segments above target",
    ),
    (False, False): Name(
        "S4",
        "Test or stop",
        "Return on spend below target, spend at or below the median",
        "Give each a deadline: improve or stop",
    ),
}
FEATURE_WORDS = {
    "roas": ("higher return", "lower return"),
    "spend": ("higher spend", "lower spend"),
    "cvr": ("higher conversion rate", "lower conversion rate"),
}


def quadrant(roas: float, spend: float, target_roas: float, median_spend: float) -> Name:
    """Name of a centre or a campaign; on the line counts as at target, and as low spend."""
    return QUADRANTS[(roas >= target_roas * (1 - 1e-9), spend > median_spend * (1 + 1e-9))]


def name_segments(
    roas: Array,
    spend: Array,
    z: Array,
    features: list[str],
    target_roas: float,
    median_spend: float,
) -> list[Name]:
    """Name k centres; two in one quadrant are told apart by the feature that differs most.

    Args:
        roas: k returns on spend, in absolute terms.
        spend: k daily spends, in absolute terms.
        z: k x p standardised centres.
        features: p names.
        target_roas: where "good" begins.
        median_spend: where "high" begins.

    Returns:
        k names, all different, whatever the order of the centres.
    """
    base = [quadrant(r, s, target_roas, median_spend) for r, s in zip(roas, spend, strict=True)]
    out: list[Name | None] = [None] * len(base)
    for name in dict.fromkeys(base):
        members = [i for i, other in enumerate(base) if other == name]
        if len(members) == 1:
            out[members[0]] = name
            continue
        inside = z[members]
        widest = int(np.argmax(inside.max(axis=0) - inside.min(axis=0)))
        high, low = FEATURE_WORDS.get(features[widest], (features[widest], features[widest]))
        ranked = sorted(members, key=lambda i: (-z[i, widest], -roas[i], -spend[i]))
        for rank, i in enumerate(ranked):
            if rank == 0:
                word = high
            elif rank == len(ranked) - 1:
                word = low
            else:
                word = f"middle {rank}"
            out[i] = Name(
                f"{name.code}{'abcdef'[min(rank, 5)]}",
                f"{name.name} - {word}",
                f"{name.meaning}; {word} than the other segment of this kind",
                name.action,
            )
    return [name for name in out if name is not None]
