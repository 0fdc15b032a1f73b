"""Settings: frozen, typed, bounded, unit in the name, read once in a ``__main__`` file and passed down.

``load`` fills a struct from the variables that begin with ``HEADWATER_``; a value that does not fit is one clear error.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

PREFIX: Final = "HEADWATER_"

Positive = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]

LOOKBACK_DAYS: Final = 30
"""Touches older than this before a conversion do not count, unless it, its goal or its project says otherwise."""


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the log is."""

    kafka_bootstrap: str = "127.0.0.1:9092"
    topic_prefix: str = ""
    """Put before every topic and consumer group, so that two stacks can share a cluster."""
    partitions: Positive = 4
    """Partitions of a topic that names no number of its own. Used when topics are created."""
    replication: Positive = 1


class ClickHouseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the store is: ``http://user:password@host:port/?database=..``."""

    clickhouse_url: str = "http://127.0.0.1:8123/?database=headwater"


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP listener."""

    http_host: str = "127.0.0.1"
    http_port: Port = 8080
    metrics_port: Port = 0
    """0: a free port, printed at start."""


class IngestSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The edge."""

    kafka: KafkaSettings = KafkaSettings()
    server: ServerSettings = ServerSettings()
    event_max_bytes: Positive = 64 * 1024
    request_max_events: Positive = 1000
    request_max_bytes: Positive = 5 * 1024 * 1024
    """After inflating."""
    json_max_depth: Positive = 64
    public_key_max_age_days: Positive = 7
    clock_skew_max_hours: Positive = 24
    token_requests_per_minute: Positive = 1000
    """Requests that one postback token may make, by each ingest process."""
    linger_ms: Annotated[int, Meta(ge=0)] = 5
    produce_timeout_ms: Positive = 10_000
    drain_timeout_s: Positive = 10
    secret_file: Path | None = None
    """File with the secret of keyed hashes (fingerprints, contacts). Without it they do not outlive the process."""
    trusted_proxy_hops: Annotated[int, Meta(ge=0)] = 0
    """How many entries at the end of X-Forwarded-For were written by proxies of ours. 0: the header is ignored."""


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The read and control API."""

    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    server: ServerSettings = ServerSettings()
    secret_file: Path | None = None
    """The file that ingest has, too. Without it the addresses of contacts cannot be shown."""
    lookback_days: Positive = LOOKBACK_DAYS
    """As the booker's: an explanation attributes as a run does."""


class StageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A stage's runtime."""

    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    data_dir: Path = Path(".headwater")
    metrics_port: Port = 0
    batch_max_bytes: Positive = 16 * 1024 * 1024
    """Kafka bytes of one micro-batch."""
    batch_max_wait_ms: Positive = 250
    """Small batches begin so far apart: each costs the store about the same, whatever is in it."""
    dedupe_window_days: Positive = 7
    session_idle_minutes: Positive = 30
    session_max_hours: Positive = 24
    quarantine_max_consecutive: Positive = 1000
    """So many undecodable lines in a row halt the partition instead of flooding the dead-letter topic."""
    instance: str = ""
    """Kafka group.instance.id suffix (static membership); empty: none."""
    secret_file: Path | None = None
    """The file that ingest has, too. Without it nobody can be forgotten."""


class BookerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The booker."""

    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    metrics_port: Port = 0
    run_interval_ms: Positive = 500
    fold_runs: Positive = 500
    """Fold the runs of one level once there are so many of them."""
    sweep_interval_s: Positive = 3600
    lookback_days: Positive = LOOKBACK_DAYS
    key_max_edges: Positive = 2_000
    """An identity that more sessions and conversions carry joins nothing: a shared test account, a proxy."""
    small_run_positions: Annotated[int, Meta(ge=0)] = 5_000
    """A run over no more looks up rows and applies the rules itself, unless it meets many facts; 0: none does."""
    instance: str = ""
    """Kafka group.instance.id suffix: a booker that died and came back need not wait for its session to end."""
    secret_file: Path | None = None
    """The file that ingest has, too. Without it nobody can be forgotten."""


class DeliverySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Delivery: postbacks and platforms."""

    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    data_dir: Path = Path(".headwater")
    metrics_port: Port = 0
    secret_file: Path | None = None
    """The file that the API has, too: what secrets of destinations are sealed with."""
    delivery_allow_private: bool = False
    """Also tell destinations at private, loopback and link-local addresses. For tests and closed networks only."""
    delivery_timeout_ms: Positive = 10_000
    """One attempt, from looking up the name to the last byte of the answer that is read."""
    delivery_concurrency: Positive = 256
    """Attempts under way at a time; at most one of each destination."""
    delivery_retry_base_ms: Positive = 5_000
    """A delay is drawn from 0 to base x 2^n (full jitter), at most delivery_retry_max_ms."""
    delivery_retry_max_ms: Positive = 3_600_000
    delivery_retry_s: Positive = 86_400
    """So long after its first attempt was due a delivery is given up."""
    delivery_failures_max: Positive = 100
    """So many failed attempts in a row disable a destination."""
    delivery_click_wait_ms: Annotated[int, Meta(ge=0)] = 5_000
    """So long after its announcement a conversion waits for the store to say which click it is attributed to."""
    instance: str = ""
    """Kafka group.instance.id suffix (static membership); empty: none."""


S = TypeVar("S", bound=msgspec.Struct)


class InvalidSettings(ValueError):
    """A variable has a value that does not fit; the message names it and the limit, never a secret."""


def _variables(cls: type[msgspec.Struct], environ: Mapping[str, str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(cls):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            values[field.name] = _variables(field.type, environ)
        elif value := environ.get(PREFIX + field.name.upper()):
            values[field.name] = value
    return values


def _parse(wanted: type, value: object) -> object:
    """Paths, which msgspec does not know."""
    if wanted is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError


def load(cls: type[S], environ: Mapping[str, str]) -> S:
    """Fill ``cls`` and the structs in it: field ``kafka_bootstrap`` is ``HEADWATER_KAFKA_BOOTSTRAP``, wherever it is.

    Empty values count as unset. Raises :class:`InvalidSettings`.
    """
    try:
        return msgspec.convert(_variables(cls, environ), cls, strict=False, dec_hook=_parse)
    except msgspec.ValidationError as error:
        raise InvalidSettings(f"settings {PREFIX}*: {error}") from error
