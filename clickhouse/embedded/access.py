"""Who may ask: user and password, and for a server without a password only programs of this machine.

A server without a password listens on loopback, yet a page in the owner's browser reaches loopback too. Such a request
carries an Origin, or, after DNS rebinding, a Host that is not this machine; both are refused.
"""

import hmac
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from clickhouse.embedded.errors import Code, refuse
from clickhouse.embedded.request import credentials
from clickhouse.embedded.settings import EmbeddedSettings


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check(settings: EmbeddedSettings, url: Mapping[str, str], headers: Mapping[str, str]) -> None:
    """Raises:
    ServerError: REQUIRED_PASSWORD, AUTHENTICATION_FAILED or ACCESS_DENIED.
    """
    given = credentials(url, headers)
    user_is_right = hmac.compare_digest(given.user.encode(), settings.user.encode())
    if settings.password is None:
        if is_loopback(settings.host) and not _comes_from_here(headers):
            raise refuse(Code.ACCESS_DENIED, "Set a password to let pages of other origins in.")
        password_is_right = True
    else:
        if not given.given:
            raise refuse(Code.REQUIRED_PASSWORD, "Authentication failed: a password is required.")
        password_is_right = hmac.compare_digest(given.password.encode(), settings.password.encode())
    if not (user_is_right and password_is_right):
        raise refuse(
            Code.AUTHENTICATION_FAILED,
            "Authentication failed: password is incorrect, or there is no user with such name.",
        )


def _comes_from_here(headers: Mapping[str, str]) -> bool:
    hosts = [urlsplit(f"//{headers.get('host', 'localhost')}").hostname]
    if "origin" in headers:
        hosts.append(urlsplit(headers["origin"]).hostname)
    return all(host is not None and is_loopback(host) for host in hosts)
