"""Which channel a source belongs to: an ordered table, the first rule that fits decides.

The rules are those of Google Analytics 4's default channel group, in its order (support.google.com/analytics/answer/
9756891, "[GA4] Default channel group", manual traffic); beside each is its definition. What fits none is Unassigned.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from processors.core.sites import Category, category

DIRECT: Final = "(direct)"
NO_MEDIUM: Final = "(none)"
NOT_SET: Final = "(not set)"

_PAID = re.compile(r"cp|^ppc$|^retargeting$|^paid")
_SHOPPING = re.compile(r"(?:[^a-df-z]|^)shop|shopping")
_DISPLAY = frozenset({"display", "banner", "expandable", "interstitial", "cpm"})
_SOCIAL = frozenset({"social", "social-network", "social-media", "sm", "social network", "social media"})
_MAIL = frozenset({"email", "e-mail", "e_mail", "e mail"})


class Visit(NamedTuple):
    """What the rules look at, in lower case."""

    source: str
    medium: str
    campaign: str
    category: Category | None

    @property
    def paid(self) -> bool:
        return _PAID.search(self.medium) is not None

    @property
    def shopping(self) -> bool:
        return self.category is Category.SHOPPING or _SHOPPING.search(self.campaign) is not None


class Rule(NamedTuple):
    channel: str
    fits: Callable[[Visit], bool]
    definition: str
    """The definition in the table cited above, in short."""


RULES: Final = (
    Rule(
        "Direct",
        lambda v: v.source == DIRECT and v.medium in (NO_MEDIUM, NOT_SET),
        "Source exactly matches '(direct)' AND Medium is one of ('(not set)', '(none)')",
    ),
    Rule("Cross-network", lambda v: "cross-network" in v.campaign, "Campaign Name contains 'cross-network'"),
    Rule(
        "Paid Shopping",
        lambda v: v.shopping and v.paid,
        "(Source matches a list of shopping sites OR Campaign Name matches regex ^(.*(([^a-df-z]|^)shop|shopping).*)$)"
        " AND Medium matches regex ^(.*cp.*|ppc|retargeting|paid.*)$",
    ),
    Rule(
        "Paid Search",
        lambda v: v.category is Category.SEARCH and v.paid,
        "Source matches a list of search sites AND Medium matches regex ^(.*cp.*|ppc|retargeting|paid.*)$",
    ),
    Rule(
        "Paid Social",
        lambda v: v.category is Category.SOCIAL and v.paid,
        "Source matches a regex list of social sites AND Medium matches regex ^(.*cp.*|ppc|retargeting|paid.*)$",
    ),
    Rule(
        "Paid Video",
        lambda v: v.category is Category.VIDEO and v.paid,
        "Source matches a list of video sites AND Medium matches regex ^(.*cp.*|ppc|retargeting|paid.*)$",
    ),
    Rule(
        "Display",
        lambda v: v.medium in _DISPLAY,
        "Medium is one of ('display', 'banner', 'expandable', 'interstitial', 'cpm')",
    ),
    Rule("Paid Other", lambda v: v.paid, "Medium matches regex ^(.*cp.*|ppc|retargeting|paid.*)$"),
    Rule(
        "Organic Shopping",
        lambda v: v.shopping,
        "Source matches a list of shopping sites OR Campaign name matches regex ^(.*(([^a-df-z]|^)shop|shopping).*)$",
    ),
    Rule(
        "Organic Social",
        lambda v: v.category is Category.SOCIAL or v.medium in _SOCIAL,
        "Source matches a regex list of social sites OR Medium is one of ('social', 'social-network', 'social-media',"
        " 'sm', 'social network', 'social media')",
    ),
    Rule(
        "Organic Video",
        lambda v: v.category is Category.VIDEO or "video" in v.medium,
        "Source matches a list of video sites OR Medium matches regex ^(.*video.*)$",
    ),
    Rule(
        "Organic Search",
        lambda v: v.category is Category.SEARCH or v.medium == "organic",
        "Source matches a list of search sites OR Medium exactly matches 'organic'",
    ),
    Rule("Referral", lambda v: v.medium in ("referral", "app", "link"), "Medium is one of ('referral', 'app', 'link')"),
    Rule(
        "Email",
        lambda v: v.source in _MAIL or v.medium in _MAIL,
        "Source = email|e-mail|e_mail|e mail OR Medium = email|e-mail|e_mail|e mail",
    ),
    Rule("Affiliates", lambda v: v.medium == "affiliate", "Medium = affiliate"),
    Rule("Audio", lambda v: v.medium == "audio", "Medium exactly matches 'audio'"),
    Rule(
        "SMS",
        lambda v: v.source == "sms" or v.medium == "sms",
        "Source exactly matches 'sms' OR Medium exactly matches 'sms'",
    ),
    Rule(
        "Mobile Push Notifications",
        lambda v: (
            v.medium.endswith("push") or "mobile" in v.medium or "notification" in v.medium or v.source == "firebase"
        ),
        "Medium ends with 'push' OR Medium contains 'mobile' or 'notification' OR Source exactly matches 'firebase'",
    ),
)
UNASSIGNED: Final = "Unassigned"


@lru_cache(maxsize=16_384)
def channel_of(source: str, medium: str, campaign: str) -> str:
    """The channel. Letter case does not matter."""
    source = source.lower()
    visit = Visit(source, medium.lower(), campaign.lower(), category(source))
    return next((rule.channel for rule in RULES if rule.fits(visit)), UNASSIGNED)
