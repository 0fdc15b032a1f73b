"""Settings of the embedded server."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

GIB = 1 << 30


class EmbeddedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What ``python -m clickhouse serve`` needs to know; sizes in bytes, times in seconds.

    The memory limits leave most of a 24 GiB laptop to Kafka, the processors and the people who own it.
    """

    data_dir: Path
    """The engine's own directory. Created with mode 0700 if missing."""
    host: str = "127.0.0.1"
    port: int = 8123
    user: str = "default"
    password: str | None = None
    """None: no password is asked for (loopback only)."""
    threads: int = 6
    """Queries that run at once. Two of them are kept for reading while the others write."""
    queue_limit: int = 200
    """Requests running or waiting for a thread; more are refused with TOO_MANY_SIMULTANEOUS_QUERIES."""
    server_memory: int = 8 * GIB
    query_memory: int = 4 * GIB
    spill_bytes: int = 1 * GIB
    """GROUP BY and ORDER BY go on on disk beyond this."""
    body_limit: int = 8 * GIB
    """A larger request body is refused with 413."""
    spool_bytes: int = 8 << 20
    """Bodies and answers beyond this wait on disk, not in memory."""
    query_limit: int = 16 << 20
    """A longer statement (data that follows an INSERT is not counted) is refused."""
    send_seconds: float = 120.0
    """A client that takes nothing of its answer for so long is dropped."""
    drain_seconds: float = 8.0
    """On SIGTERM running queries may take so long to finish."""

    @property
    def spool_dir(self) -> Path:
        return self.data_dir / "spool"

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


class SettingsError(ValueError):
    """A setting has no usable value; the message is for the operator."""


def from_environ(environ: Mapping[str, str]) -> EmbeddedSettings:
    """Read the ``HEADWATER_`` variables.

    Raises:
        SettingsError: a variable is not of its form.
    """
    root = Path(environ.get("HEADWATER_DATA_DIR") or ".headwater")
    return EmbeddedSettings(
        data_dir=(root / "clickhouse").absolute(),
        port=_integer(environ, "HEADWATER_CLICKHOUSE_PORT", 8123, lowest=1, highest=65535),
        threads=_integer(environ, "HEADWATER_CLICKHOUSE_THREADS", 6, lowest=2, highest=64),
        password=_password(environ),
    )


def _integer(environ: Mapping[str, str], name: str, default: int, *, lowest: int, highest: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
        raise SettingsError(f"{name} must be a number from {lowest} to {highest}")
    return int(text)


def _password(environ: Mapping[str, str]) -> str | None:
    path = environ.get("HEADWATER_CLICKHOUSE_PASSWORD_FILE")
    if not path:
        return environ.get("HEADWATER_CLICKHOUSE_PASSWORD") or None
    try:
        password = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"HEADWATER_CLICKHOUSE_PASSWORD_FILE cannot be read: {error}") from None
    if not password:
        # An empty file is far more likely a mistake than a wish to have no password.
        raise SettingsError("HEADWATER_CLICKHOUSE_PASSWORD_FILE is empty")
    return password
