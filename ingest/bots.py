"""Which user agents are programs. Such events are marked ``bot``, never dropped.

A short table on purpose: crawlers that run scripts name themselves, and reports can be wrong in one direction only
(a bot counted as a visitor), which an analyst sees. Server events are not looked at: their user agent is the client's
HTTP library.
"""

import re
from functools import lru_cache
from typing import Final

CRAWLERS: Final = (
    r"(?<!cu)bot\b",  # Googlebot, bingbot, GPTBot: the convention of the trade (Cubot makes telephones)
    r"(?<!cu)bot[_-]",
    r"crawl",
    r"spider",
    r"slurp",
    r"scrap",
    r"mediapartners-google",
    r"google-(?:inspectiontool|read-aloud|safety)",
    r"apis-google",
    r"feedfetcher",
    r"facebookexternalhit",
    r"meta-external",
    r"whatsapp/",
    r"bingpreview",
    r"lighthouse",
    r"pagespeed",
    r"headless",
    r"phantomjs",
    r"puppeteer",
    r"playwright",
    r"selenium",
    r"pingdom",
    r"uptime",
    r"monitor",
    r"preview",
    r"validator",
    r"archiver",
)
PATTERNS: Final = (
    *CRAWLERS,
    r"^(?:curl|wget|python|java|go-http-client|okhttp|axios|node|ruby|php|perl|libwww|httpie|insomnia|postman)\b",
)

_BOT: Final = re.compile("|".join(PATTERNS), re.IGNORECASE)
_CRAWLER: Final = re.compile("|".join(CRAWLERS), re.IGNORECASE)
_CONSIDERED: Final = 512


@lru_cache(maxsize=4096)
def is_bot(user_agent: str) -> bool:
    """Whether this user agent names a program. No user agent at all is one: every browser sends it."""
    return not user_agent or _BOT.search(user_agent[:_CONSIDERED]) is not None


@lru_cache(maxsize=4096)
def is_crawler(user_agent: str) -> bool:
    """Whether this user agent names a program that follows links by itself. An HTTP library does not: whoever opens a
    link with one means it."""
    return not user_agent or _CRAWLER.search(user_agent[:_CONSIDERED]) is not None
