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
7. An interaction with an e-mail is a touch whose source and medium are ``email``. It is no visit of the site.
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
from schemas.mailing import Mailing


class Touch(StrEnum):
    """Kinds of touch; the column ``touch``, empty where there is none."""

    ENTRY = "entry"
    CAMPAIGN = "campaign"
    CLICK = "click"
    """On a link of ours. Its source is what the destination's UTM parameters, else the referrer, show."""
    EMAIL = "email"
    """An interaction with an e-mail campaign or flow."""


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
    # parameter: (source, medium); who adds it, and where that is said. Without an address: known from use only.
    "gclid": ("google", "cpc"),  # Google Ads, developers.google.com/google-ads/api/docs/reporting/valuetrack-mapping
    "gbraid": ("google", "cpc"),  # Google Ads on iOS, for apps, support.google.com/google-ads/answer/16297842
    "wbraid": ("google", "cpc"),  # Google Ads on iOS, for the web, ClickConversionResult in the Google Ads API
    "dclid": ("dfa", "cpm"),  # Campaign Manager 360, support.google.com/campaignmanager/answer/9182069
    "msclkid": ("bing", "cpc"),  # Microsoft Advertising, help.ads.microsoft.com/apex/index/3/en/60125
    "yclid": ("yandex", "cpc"),  # Yandex Direct, yandex.ru/support/direct/en/statistics/url-tags
    "ttclid": ("tiktok", "paid"),  # TikTok ads, ads.tiktok.com/help/article/tiktok-click-id
    "twclid": ("twitter", "paid"),  # X ads, docs.x.com/x-ads-api/measurement/web-conversions
    # LinkedIn ads, learn.microsoft.com/en-us/linkedin/marketing/conversions/enabling-first-party-cookies
    "li_fat_id": ("linkedin", "paid"),
    "rdt_cid": ("reddit", "paid"),  # Reddit ads, docs.metarouter.io/docs/reddit-ads
    "ScCid": ("snapchat", "paid"),  # Snapchat ads, docs.metarouter.io/docs/snapchat-capi-sync
    "epik": ("pinterest", "paid"),  # Pinterest ads
    "qclid": ("quora", "paid"),  # Quora ads
    # Meta, paid or not, developers.facebook.com/docs/marketing-api/conversions-api/parameters/fbp-and-fbc
    "fbclid": ("facebook", "social"),
    "igshid": ("instagram", "social"),  # Instagram, on links that are shared
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


def mailed(mailing: Mailing) -> Source:
    """The source that an interaction with an e-mail is. Its campaign is the campaign's id, else the flow's."""
    return _source("email", "email", mailing.campaign_id or mailing.flow_id, "", "")


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
