"""Where a pageview came from, by its own evidence.

1. UTM parameters of the URL say it; where the URL has none, ``context.campaign`` does.
2. Else a click id implies the network that adds it to its ads' links (``CLICK_IDS``); with UTM parameters that name no
   source or medium, it fills these.
3. Else the host of the referrer: a known site by its name, any other by its host without ``www.``.
4. The site itself, payment gateways and sign-in pages are no evidence: the visitor was here already.
5. Without evidence a visit is direct: source ``(direct)``, medium ``(none)``.
6. ``campaign`` evidence (1 and 2) makes any pageview a touch; whether it is new to its session is for the reader, who
   knows the whole session: so the rows do not depend on the order in which events arrive. Any other pageview is a touch
   (``entry``) if it is, by event time, the first of its session so far.
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

import msgspec

from processors.core.channels import DIRECT, NO_MEDIUM, NOT_SET, channel_of
from processors.core.locations import Location, locate, site_of
from processors.core.sites import known, never_a_source
from schemas.events import Campaign


class Touch(StrEnum):
    """Kinds of touch; the column ``touch``, empty where there is none."""

    ENTRY = "entry"
    CAMPAIGN = "campaign"
    CLICK = "click"
    """On a link of ours. Its source is what the destination's UTM parameters, else the referrer, show."""


class Source(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a visit came from."""

    source: str = ""
    medium: str = ""
    campaign: str = ""
    term: str = ""
    content: str = ""
    channel: str = ""


UNKNOWN: Final = Source()
"""Of a session without a pageview."""
DIRECT_VISIT: Final = Source(DIRECT, NO_MEDIUM, channel=channel_of(DIRECT, NO_MEDIUM, ""))

CLICK_IDS: Final[dict[str, tuple[str, str]]] = {
    # parameter: (source, medium); who adds it to which links
    "gclid": ("google", "cpc"),  # Google Ads auto-tagging, support.google.com/google-ads/answer/9744275
    "gbraid": ("google", "cpc"),  # Google Ads, iOS, app measurement, support.google.com/google-ads/answer/10417364
    "wbraid": ("google", "cpc"),  # Google Ads, iOS, web measurement, same page
    "dclid": ("dfa", "cpm"),  # Campaign Manager 360, support.google.com/analytics/answer/7519794
    "msclkid": ("bing", "cpc"),  # Microsoft Advertising, help.ads.microsoft.com, "auto-tagging of click ID"
    "yclid": ("yandex", "cpc"),  # Yandex Direct, yandex.com/support/direct, "yclid"
    "ttclid": ("tiktok", "paid"),  # TikTok ads, ads.tiktok.com/help, "About TikTok Click ID"
    "twclid": ("twitter", "paid"),  # X ads, business.x.com/en/help, "Click ID"
    "li_fat_id": ("linkedin", "paid"),  # LinkedIn ads, linkedin.com/help/lms, "first-party ad tracking"
    "rdt_cid": ("reddit", "paid"),  # Reddit ads, business.reddithelp.com, "Click ID"
    "ScCid": ("snapchat", "paid"),  # Snapchat ads, businesshelp.snapchat.com, "Snap Click ID"
    "epik": ("pinterest", "paid"),  # Pinterest ads, help.pinterest.com/business, "Pinterest click ID"
    "qclid": ("quora", "paid"),  # Quora ads, quoraadsupport.zendesk.com, "qclid"
    "fbclid": ("facebook", "social"),  # Meta, on every outbound link, paid or not: developers.facebook.com, "fbc"
    "igshid": ("instagram", "social"),  # Instagram, on shared links
}
_UTM: Final = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
_PARAMETERS: Final = re.compile(rf"(?:^|&)({'|'.join((*_UTM, *CLICK_IDS))})=([^&]+)")


def evidence(here: Location, referrer: str, stated: Campaign | None) -> tuple[Source | None, bool]:
    """The source that a pageview shows, None if it shows none; and whether that is campaign evidence."""
    if here.query or stated is not None:
        campaign = _campaign(here, referrer, stated)
        if campaign is not None:
            return campaign, True
    origin = _referred(here.host, referrer)
    return (_source(*origin, "", "", ""), False) if origin else (None, False)


def _campaign(here: Location, referrer: str, stated: Campaign | None) -> Source | None:
    """What UTM parameters and click ids say."""
    found = dict(reversed(_PARAMETERS.findall(here.query)))  # of two, the first counts
    utm = [unquote_plus(found[name]).strip() if name in found else "" for name in _UTM]
    if stated is not None and not any(utm[:3]):
        utm = [stated.source, stated.medium, stated.name, stated.term, stated.content]
    network = next((CLICK_IDS[name] for name in CLICK_IDS if name in found), None)
    if any(utm[:3]):
        source, medium = network or _referred(here.host, referrer) or (NOT_SET, NOT_SET)
        if utm[0]:
            medium = network[1] if network else NOT_SET
        return _source(utm[0] or source, utm[1] or medium, *utm[2:])
    return _source(*network, *utm[2:]) if network is not None else None


@lru_cache(maxsize=16_384)
def _source(source: str, medium: str, campaign: str, term: str, content: str) -> Source:
    return Source(source, medium, campaign, term, content, channel_of(source, medium, campaign))


@lru_cache(maxsize=16_384)
def _referred(host: str, referrer: str) -> tuple[str, str] | None:
    """Source and medium that a referrer shows on a page of ``host``."""
    origin = locate(referrer).host
    if not origin or never_a_source(origin) or site_of(origin) == site_of(host):
        return None
    site = known(origin)
    if site is not None:
        return site.name, site.category.value
    return origin.removeprefix("www."), "referral"
