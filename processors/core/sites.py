"""Sites we know by name: what a referrer's host, or a source given by its host, stands for.

Search, social, video and shopping are the categories of Google Analytics' default channel group (support.google.com/
analytics/answer/9756891); which sites are in them is our own list. A site that is missing is a referral under its name.
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple


class Category(StrEnum):
    """What kind of site it is; the value is the medium of an untagged visit from there."""

    SEARCH = "organic"
    SOCIAL = "social"
    VIDEO = "video"
    SHOPPING = "shopping"
    MAIL = "email"


class Site(NamedTuple):
    """A site by its own name."""

    name: str
    category: Category


_BY_CATEGORY: Final[dict[Category, dict[str, tuple[str, ...]]]] = {
    Category.SEARCH: {
        "google": ("com.google.android.googlequicksearchbox",),
        "bing": ("bing.com",),
        "yahoo": ("yahoo.com", "yahoo.co.jp"),
        "duckduckgo": ("duckduckgo.com",),
        "yandex": ("yandex.ru", "yandex.com", "yandex.com.tr", "yandex.kz", "yandex.by", "ya.ru"),
        "baidu": ("baidu.com",),
        "ecosia": ("ecosia.org",),
        "qwant": ("qwant.com",),
        "startpage": ("startpage.com",),
        "brave": ("search.brave.com",),
        "naver": ("naver.com",),
        "daum": ("daum.net",),
        "seznam": ("seznam.cz",),
        "sogou": ("sogou.com",),
        "so.com": ("so.com",),
        "ask": ("ask.com",),
        "aol": ("aol.com",),
        "kagi": ("kagi.com",),
        "coccoc": ("coccoc.com",),
        "onet": ("onet.pl",),
        "rambler": ("rambler.ru",),
        "swisscows": ("swisscows.com",),
    },
    Category.SOCIAL: {
        "facebook": ("facebook.com", "fb.com", "fb.me", "messenger.com", "com.facebook.katana"),
        "instagram": ("instagram.com", "com.instagram.android"),
        "twitter": ("twitter.com", "x.com", "t.co", "com.twitter.android"),
        "linkedin": ("linkedin.com", "lnkd.in", "com.linkedin.android"),
        "pinterest": ("pinterest.com", "pinterest.co.uk", "pinterest.de", "pinterest.fr", "pin.it"),
        "reddit": ("reddit.com", "com.reddit.frontpage"),
        "threads": ("threads.net", "threads.com"),
        "bluesky": ("bsky.app", "go.bsky.app"),
        "mastodon": ("mastodon.social",),
        "snapchat": ("snapchat.com",),
        "tumblr": ("tumblr.com",),
        "vk": ("vk.com", "vk.ru", "away.vk.com"),
        "ok": ("ok.ru",),
        "weibo": ("weibo.com", "weibo.cn"),
        "quora": ("quora.com",),
        "telegram": ("telegram.org", "t.me", "org.telegram.messenger"),
        "whatsapp": ("whatsapp.com", "wa.me"),
        "discord": ("discord.com",),
        "xing": ("xing.com",),
        "hacker news": ("news.ycombinator.com",),
        "stack exchange": ("stackexchange.com", "stackoverflow.com"),
        "medium": ("medium.com",),
        "line": ("line.me",),
    },
    Category.VIDEO: {
        "youtube": ("youtube.com", "youtu.be", "com.google.android.youtube"),
        "tiktok": ("tiktok.com",),
        "vimeo": ("vimeo.com",),
        "dailymotion": ("dailymotion.com",),
        "twitch": ("twitch.tv",),
        "netflix": ("netflix.com",),
        "hulu": ("hulu.com",),
        "bilibili": ("bilibili.com",),
        "rumble": ("rumble.com",),
    },
    Category.SHOPPING: {
        "amazon": ("amazon.com", "amazon.co.uk", "amazon.de", "amazon.fr", "amazon.it", "amazon.es", "amazon.co.jp"),
        "ebay": ("ebay.com", "ebay.co.uk", "ebay.de", "ebay.fr", "ebay.it"),
        "etsy": ("etsy.com",),
        "walmart": ("walmart.com",),
        "aliexpress": ("aliexpress.com",),
        "alibaba": ("alibaba.com",),
        "shopping.google": ("shopping.google.com",),
        "idealo": ("idealo.de", "idealo.co.uk", "idealo.fr"),
        "mercadolibre": ("mercadolibre.com", "mercadolibre.com.mx", "mercadolivre.com.br"),
        "shopify": ("shop.app",),
    },
    Category.MAIL: {
        "gmail": ("mail.google.com", "com.google.android.gm"),
        "outlook": ("outlook.live.com", "outlook.office.com", "outlook.office365.com"),
        "yahoo mail": ("mail.yahoo.com",),
        "proton mail": ("mail.proton.me",),
    },
}

_BY_HOST: Final = {
    host: Site(name, category)
    for category, sites in _BY_CATEGORY.items()
    for name, hosts in sites.items()
    for host in hosts
}
_BY_NAME: Final = {name: Site(name, category) for category, sites in _BY_CATEGORY.items() for name in sites}
_GOOGLE: Final = re.compile(r"(?:^|\.)google\.(?:com|co\.[a-z]{2}|com\.[a-z]{2}|[a-z]{2})$")

NEVER_A_SOURCE: Final = frozenset(
    {
        # payment gateways: the visitor comes back from paying
        "paypal.com",
        "stripe.com",
        "klarna.com",
        "adyen.com",
        "mollie.com",
        "braintreegateway.com",
        "authorize.net",
        "worldpay.com",
        "squareup.com",
        "checkout.com",
        "razorpay.com",
        "2checkout.com",
        "afterpay.com",
        "affirm.com",
        "alipay.com",
        "sofort.com",
        "pay.google.com",
        "pay.amazon.com",
        "payments.amazon.com",
        "secure.payu.com",
        "przelewy24.pl",
        "paddle.com",
        "acs.arcot.com",
        "3dsecure.io",
        "cardinalcommerce.com",
        # sign-in pages: the visitor comes back from signing in
        "accounts.google.com",
        "login.microsoftonline.com",
        "login.live.com",
        "appleid.apple.com",
        "login.yahoo.com",
        "auth0.com",
        "okta.com",
        "onelogin.com",
        "amazoncognito.com",
        "id.atlassian.com",
        "login.salesforce.com",
    }
)


def _suffixes(host: str) -> list[str]:
    """The host and its parents, longest first."""
    labels = host.split(".")
    return [".".join(labels[start:]) for start in range(len(labels) - 1)]


@lru_cache(maxsize=16_384)
def known(host: str) -> Site | None:
    """The site of a host, by the longest parent that is known."""
    for suffix in _suffixes(host):
        if (found := _BY_HOST.get(suffix)) is not None:
            return found
    return _BY_NAME["google"] if _GOOGLE.search(host) else None


@lru_cache(maxsize=16_384)
def never_a_source(host: str) -> bool:
    """Whether this is a payment gateway or a sign-in page."""
    return any(suffix in NEVER_A_SOURCE for suffix in _suffixes(host))


def category(source: str) -> Category | None:
    """What a source is, given by name or by host, in lower case."""
    found = _BY_NAME.get(source) or known(source)
    return found.category if found else None
