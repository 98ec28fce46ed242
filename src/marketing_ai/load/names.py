"""What the names of a file's columns mean, as far as names can say.

Only usual names are taken for ours. Ready-made ratios are recognised so that nobody adds them
up, and a wide layout by the channels in its names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from marketing_ai.load.mapping import AMOUNTS, MEASURES


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Names as they are met, without case, blanks and signs; the first of a dimension wins.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "campaign_id": ("campaignid", "campaignkey", "campaignnumber", "campaignno", "kampagnenid"),
    "campaign_name": (
        "campaignname", "campaign", "campaigntitle", "utmcampaign", "kampagne", "kampagnenname",
    ),
    "channel": (
        "channel", "marketingchannel", "channelname", "mediachannel", "channelused", "platform",
        "adplatform", "publisherplatform", "network", "adnetwork", "source", "utmsource",
        "mediasource", "trafficsource", "publisher", "category", "medium", "utmmedium", "kanal",
    ),
    "segment": (
        "segment", "customersegment", "audience", "targetaudience", "audiencename", "adgroup",
        "adgroupname", "adset", "adsetname", "region", "country", "countrycode", "market", "geo",
        "location",
    ),
    "date": (
        "date", "day", "cdate", "reportdate", "statdate", "stattimeday", "stattimehour",
        "datestart", "reportingstarts", "startdate", "campaigndate", "eventdate", "datum", "tag",
        "fecha", "jour", "timestamp", "dt", "ds",
    ),
    "impressions": ("impressions", "impression", "imps", "impr", "impressionen"),
    "clicks": (
        "clicks", "click", "linkclicks", "inlinelinkclicks", "urlclicks", "clickthroughs", "klicks",
        "swipes", "taps",
    ),
    "leads": ("leads", "lead", "signups", "registrations", "formsubmissions", "formfills"),
    "conversions": (
        "conversions", "conversion", "orders", "order", "purchases", "purchase", "transactions",
        "acquisitions", "bestellungen", "konversionen",
    ),
    "cost": (
        "cost", "costs", "spend", "spent", "adspend", "adcost", "markspent", "marketingspend",
        "campaigncost", "amountspent", "mediaspend", "mediacost", "adspent", "expense", "kosten",
        "ausgaben", "billedcharge",
    ),
    "revenue": (
        "revenue", "revenuegenerated", "sales", "salesamount", "salesvalue", "turnover", "income",
        "conversionsvalue", "conversionvalue", "convvalue", "purchasevalue", "purchasesvalue",
        "orderrevenue", "gmv", "umsatz", "earnings",
    ),
}  # fmt: skip
VERSIONS = (
    "fivetransynced", "updatedat", "lastupdated", "lastupdatedat", "modifiedat", "loadedat",
    "extractedat", "airbyteextractedat", "sdcbatchedat", "syncedat",
)  # fmt: skip
CURRENCIES = ("currency", "currencycode", "accountcurrency", "currencyiso")
# Words of a name that do not change what it is; two columns that differ by them are two answers.
_FILLERS = _words(
    "total sum gross net amount local currency in of the usd eur gbp chf cad aud jpy micro micros "
    "dollar dollars euro euros number no num nb count all campaign ad ads media"
)
_RATIOS = _words(
    "ctr cpc cpm cpa cpl cpi cpo cpv cps roas roi romi cvr cr ecpm ecpc aov acos tacos vtr cpr "
    "frequency epc rpc rpm"
)
_RATIO_WORDS = _words("rate ratio percent percentage pct average avg per share")
_CHANNELS = _words(
    "google meta facebook fb instagram tiktok bing microsoft linkedin pinterest snapchat snap "
    "twitter x reddit amazon youtube search social display email affiliate tv radio print "
    "influencer programmatic apple criteo taboola outbrain newspaper video"
)
_ADJECTIVES = _words(
    "net gross total all real time active view unique link inline outbound url new assisted "
    "attributed qualified reported expected daily lifetime post direct indirect"
)
# Words by which an unknown name still says which measure it is about.
_TELLING = {
    "impressions": {"impressions", "impr"}, "clicks": {"clicks"}, "leads": {"leads"},
    "conversions": {"conversions", "orders", "purchases"},
    "cost": {"cost", "spend", "spent", "spending"}, "revenue": {"revenue", "sales", "turnover"},
}  # fmt: skip


def words(name: str) -> list[str]:
    """The words of a column's name, in lower case and without accents."""
    plain = "".join(
        sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign)
    )
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)
    return re.findall(r"[a-z]+|[0-9]+", spaced.casefold())


def normal(name: str) -> str:
    """A name without case, blanks and signs."""
    return "".join(words(name))


def is_ratio(name: str) -> bool:
    """Whether a column holds ready-made ratios, which do not add up."""
    found = words(name)
    return bool("".join(found) in _RATIOS or _RATIO_WORDS & set(found) or "%" in name)


def is_micros(name: str) -> bool:
    """Whether the name says that amounts are in millionths."""
    return bool({"micro", "micros"} & set(words(name)))


def meaning_of(name: str) -> tuple[str, str] | None:
    """Which of our columns a name means, and why; None for none.

    Words that say how a thing was counted (total, net) are left aside: two names that differ by
    them mean the same column, and a person has to choose.
    """
    whole = normal(name)
    if is_ratio(name):
        return None
    for ours in SYNONYMS:
        if whole == ours.replace("_", ""):
            return ours, "our own name"
    for ours, names in SYNONYMS.items():
        if whole in names:
            return ours, f"a usual name of {ours}"
    rest = [word for word in words(name) if word not in _FILLERS]
    for ours in MEASURES:
        if "".join(rest) in SYNONYMS[ours]:
            return ours, f"'{' '.join(rest)}' is a usual name of {ours}"
    return None


def hint_of(name: str) -> str | None:
    """Which measure a name is about by one of its words, although it is no usual name."""
    found = set(words(name))
    if is_ratio(name) or meaning_of(name):
        return None
    about = [ours for ours, telling in _TELLING.items() if telling & found]
    if {"value", "amount"} & found:
        about = [ours for ours in about if ours in AMOUNTS]
    return about[0] if len(about) == 1 else None


def blocks_of(header: Iterable[str]) -> dict[str, dict[str, str]]:
    """Columns of a wide layout: channel -> measure -> column, empty where there is none.

    A channel is the beginning or end of at least two columns' names; the rest is a measure.
    """
    found: dict[str, dict[str, str]] = {}
    for name in header:
        parts = words(name)
        if is_ratio(name) or meaning_of(name):
            continue
        for cut in range(1, len(parts)):
            for channel, measure in ((parts[:cut], parts[cut:]), (parts[cut:], parts[:cut])):
                rest = "".join(word for word in measure if word not in {"micro", "micros"})
                ours = next((o for o in MEASURES if rest in SYNONYMS[o]), None)
                if ours and not set(channel) & (_ADJECTIVES | _FILLERS - {"ads", "ad"}):
                    found.setdefault(" ".join(channel), {}).setdefault(ours, name)
    known = {
        channel: measures
        for channel, measures in found.items()
        if len(measures) > 1 or set(channel.split()) & _CHANNELS
    }
    return known if len(known) > 1 else {}
