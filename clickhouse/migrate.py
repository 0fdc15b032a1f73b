"""Apply the numbered ``.sql`` files of ``clickhouse/migrations``, once each, in order.

1. A file is immutable once applied: its checksum is kept, and a difference is an error, not a warning.
2. Every statement can be run again (IF NOT EXISTS), because a crash may fall between a statement and its record.
3. Statements end with a semicolon at the end of a line.
"""

import hashlib
from collections.abc import Iterator, Mapping
from importlib import resources

import msgspec
from clickhouse_connect.driver.client import Client

from clickhouse.client import Address, connect
from schemas.settings import ClickHouseSettings, load


class Migration(msgspec.Struct, frozen=True):
    """One file."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self) -> Iterator[str]:
        """The statements, without the comment lines between them."""
        code = "\n".join(line for line in self.text.splitlines() if not line.lstrip().startswith("--"))
        for statement in code.split(";\n"):
            if stripped := statement.strip().rstrip(";"):
                yield stripped


class MigrationChanged(RuntimeError):
    """A file that was applied has been edited since."""


def migrations() -> list[Migration]:
    """All files, by number."""
    folder = resources.files("clickhouse") / "migrations"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [Migration(f.name.removesuffix(".sql"), f.read_text(encoding="utf-8")) for f in files]


JOURNAL = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    name       String                                COMMENT 'File name without .sql',
    checksum   String                                COMMENT 'SHA-256 of the file',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When its last statement was done'
)
ENGINE = ReplacingMergeTree ORDER BY name
COMMENT 'Migrations that were applied'
"""


def status(client: Client) -> dict[str, str]:
    """Checksum of every applied migration."""
    client.command(JOURNAL)
    rows = client.query("SELECT name, checksum FROM schema_migrations FINAL").result_rows
    return {str(row[0]): str(row[1]) for row in rows}


def apply(client: Client) -> list[str]:
    """Apply what is missing; the names applied. Raises :class:`MigrationChanged`."""
    done = status(client)
    applied = []
    for migration in migrations():
        if (known := done.get(migration.name)) is not None:
            if known != migration.checksum:
                raise MigrationChanged(f"migration {migration.name} was edited after it was applied")
            continue
        for statement in migration.statements():
            client.command(statement)
        client.insert("schema_migrations", [[migration.name, migration.checksum]], column_names=["name", "checksum"])
        applied.append(migration.name)
    return applied


def create_database(settings: ClickHouseSettings) -> None:
    """Create the URL's database if it is not there."""
    name = Address.parse(settings.clickhouse_url).database
    with connect(settings, database="") as client:
        client.command("CREATE DATABASE IF NOT EXISTS {name:Identifier}", parameters={"name": name})


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """``python -m clickhouse migrate``: create the database and apply what is missing."""
    settings = load(ClickHouseSettings, environ)
    create_database(settings)
    with connect(settings) as client:
        applied = apply(client)
    print(f"clickhouse: {len(applied)} migrations applied, {len(migrations())} in all", flush=True)
    return 0
