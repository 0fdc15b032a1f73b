"""Waiting until a server answers. Every wait ends: with the answer, or by the caller's limit."""

import asyncio
import logging
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

POLL_S: Final = 0.05


async def kafka_answers(bootstrap: str) -> None:
    """Return once a broker can be asked for the cluster's metadata."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it logs every attempt that is too early
    while True:
        client = AIOKafkaClient(bootstrap_servers=bootstrap)
        try:
            await client.bootstrap()
            if client.cluster.brokers():
                return
        except (KafkaError, OSError):
            pass
        finally:
            await client.close()
        await asyncio.sleep(POLL_S)


async def http_answers(url: str) -> None:
    """Return once ``GET url`` answers 200."""
    while True:
        if await asyncio.to_thread(_status, url) == 200:
            return
        await asyncio.sleep(POLL_S)


async def until(condition: Callable[[], bool]) -> None:
    """Return once ``condition`` holds, for what other processes bring about and no event announces."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(POLL_S)


def ping_url(clickhouse_url: str) -> str:
    """ClickHouse's health check, which needs no credentials: they stay out of it."""
    parts = urlsplit(clickhouse_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/ping"


def _status(url: str) -> int | None:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None
