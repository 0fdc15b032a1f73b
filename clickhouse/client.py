"""Connect to ClickHouse by URL: the local engine and a server are reached the same way."""

from urllib.parse import parse_qs, unquote, urlsplit

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.client import Client

from schemas.settings import ClickHouseSettings


class Address(msgspec.Struct, frozen=True):
    """The parts of ``http://user:password@host:port/?database=..``."""

    host: str
    port: int
    user: str
    password: str
    database: str
    secure: bool

    @classmethod
    def parse(cls, url: str) -> "Address":
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        return cls(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or (8443 if secure else 8123),
            user=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            database=parse_qs(parts.query).get("database", ["default"])[0],
            secure=secure,
        )


PINNED = {
    # A server's defaults differ by version and by profile: pin what the numbers depend on.
    "join_use_nulls": "0",
    "union_default_mode": "ALL",
    "final": "0",
    # Native code is made anew for each constant, such as the id of a run: that never repays in milliseconds.
    "compile_expressions": "0",
    "compile_aggregate_expressions": "0",
    "compile_sort_description": "0",
    # Looks for chains of comparisons, in a third of the time that the statements of attribution take to be read.
    "optimize_and_compare_chain": "0",
}


def connect(settings: ClickHouseSettings, *, database: str | None = None) -> Client:
    """A blocking client, for one thread at a time. ``database``: instead of the URL's ("" for none)."""
    address = Address.parse(settings.clickhouse_url)
    return clickhouse_connect.get_client(
        host=address.host,
        port=address.port,
        username=address.user,
        password=address.password,
        database=address.database if database is None else database,
        interface="https" if address.secure else "http",
        autogenerate_session_id=False,
        settings=PINNED,
        compress=False,
        connect_timeout=5,
        send_receive_timeout=300,
    )


async def connect_async(settings: ClickHouseSettings) -> AsyncClient:
    """A client for many concurrent queries of one event loop."""
    address = Address.parse(settings.clickhouse_url)
    return await clickhouse_connect.get_async_client(
        host=address.host,
        port=address.port,
        username=address.user,
        password=address.password,
        database=address.database,
        interface="https" if address.secure else "http",
        autogenerate_session_id=False,
        settings=PINNED,
        compress=False,
        connect_timeout=5,
        send_receive_timeout=60,
    )
