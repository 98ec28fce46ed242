"""Mappings of the advertising platforms' own reports, and how a report is recognised.

The files beside this one follow the columns of the connectors that most companies use. A header
is taken for a platform's only if it has columns that no other report has, because some platforms
deliver money in millionths under plain names.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from marketing_ai.load.mapping import Mapping, MappingError, read_mapping

FOLDER = Path(__file__).parent

# Preset -> name of the report, and columns which together occur in no other report.
_REPORTS: dict[str, tuple[str, frozenset[str]]] = {
    "google_ads": ("Google Ads campaign report", frozenset({"cost_micros", "ad_network_type"})),
    "meta_ads": ("Meta ad report", frozenset({"ad_id", "account_id", "inline_link_clicks"})),
    "microsoft_ads": (
        "Microsoft Advertising campaign report",
        frozenset({"delivered_match_type", "top_vs_other", "budget_name"}),
    ),
    "linkedin_ads": (
        "LinkedIn campaign report",
        frozenset({"cost_in_local_currency", "external_website_conversions"}),
    ),
    "tiktok_ads": ("TikTok hourly campaign report", frozenset({"stat_time_hour", "result_rate"})),
    "pinterest_ads": (
        "Pinterest campaign report",
        frozenset({"spend_in_micro_dollar", "clickthrough_1", "campaign_status"}),
    ),
    "snapchat_ads": ("Snapchat hourly campaign report", frozenset({"swipes", "story_opens"})),
    "x_ads": ("X (Twitter) campaign report", frozenset({"billed_charge_local_micro", "placement"})),
    "reddit_ads": ("Reddit campaign report", frozenset({"conversion_roas", "comment_upvotes"})),
    "amazon_ads": (
        "Amazon campaign report",
        frozenset({"campaign_bidding_strategy", "sales_30_d"}),
    ),
    "apple_search_ads": (
        "Apple Search Ads campaign report",
        frozenset({"taps", "local_spend_amount", "lat_on_installs"}),
    ),
}
NAMES = tuple(_REPORTS)


def report_name(preset: str) -> str:
    """What the report of a preset is called."""
    return _REPORTS[preset][0]


@cache
def load_preset(name: str) -> Mapping:
    """The mapping of a platform's report.

    Raises:
        MappingError: there is no preset of that name.
    """
    if name not in _REPORTS:
        raise MappingError(f"there is no preset '{name}'; presets are {', '.join(NAMES)}")
    return read_mapping(FOLDER / f"{name}.yml")


def preset_text(name: str) -> str:
    """The preset as it is written, comments and all."""
    load_preset(name)
    return (FOLDER / f"{name}.yml").read_text(encoding="utf-8")


def find_preset(header: Iterable[str]) -> str | None:
    """The preset whose report has this header, if there is one.

    A report of the same platform at another grain (per ad, per keyword) is not taken for it.
    """
    columns = {name.casefold() for name in header}
    for name, (_, signature) in _REPORTS.items():
        needed = {source.casefold() for source in load_preset(name).sources}
        if signature | needed <= columns:
            return name
    return None
