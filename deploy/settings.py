"""What ``make run`` can be told. Environment prefix ``HEADWATER_``."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=1, le=65535)]


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Ports are on 127.0.0.1."""

    http_port: Port = 8080
    clickhouse_port: Port = 8123
    kafka_port: Port = 9092
    data_dir: str = ".headwater"
    kafka_bootstrap: str = ""
    """A broker to use instead of a local one."""
    clickhouse_url: str = ""
    """A ClickHouse to use instead of a local one: ``http://user:password@host:port/?database=..``."""
    topic_prefix: str = ""
    web_processes: Annotated[int, Meta(ge=1, le=64)] = 1
    min_free_bytes: Annotated[int, Meta(ge=0)] = 1 << 30
    """With less room on disk nothing is started."""
    start_timeout_s: Annotated[int, Meta(ge=1)] = 120
    """How long one part may take until it is ready."""

    @property
    def directory(self) -> Path:
        return Path(self.data_dir).expanduser().resolve()

    @property
    def local_kafka(self) -> bool:
        return not self.kafka_bootstrap

    @property
    def local_clickhouse(self) -> bool:
        return not self.clickhouse_url

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def ports(self) -> dict[str, int]:
        """The fixed ports that this configuration needs, by the variable that sets them."""
        needed = {"HEADWATER_HTTP_PORT": self.http_port}
        if self.local_clickhouse:
            needed["HEADWATER_CLICKHOUSE_PORT"] = self.clickhouse_port
        if self.local_kafka:
            needed["HEADWATER_KAFKA_PORT"] = self.kafka_port
        return needed
