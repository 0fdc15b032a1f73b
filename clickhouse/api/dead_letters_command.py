"""``python -m clickhouse dead-letters list|replay|discard``: what the routes of the same names do, for who sits at the
machine.

Exit codes: 0 done, 1 refused or a server is away, 2 a setting or an argument is wrong.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Mapping
from typing import Any

from clickhouse.api.answers import instant
from clickhouse.api.dead_letters import found, named
from clickhouse.api.decisions import Decisions
from clickhouse.connection import Connection
from clickhouse.read import Reader
from control.letters import Replay
from control.log import ControlLog
from schemas.errors import HeadwaterError
from schemas.outcomes import LetterState, Quarantine, Stage
from schemas.settings import ClickHouseSettings, InvalidSettings, KafkaSettings, load

CLIENT_ID = "headwater-dead-letters"


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    given = _parser().parse_args(arguments)
    if given.command != "list" and not given.letters and given.stage is None and given.reason is None:
        print(f"dead-letters {given.command}: name letters, or a stage, a reason or both", file=sys.stderr)
        return 2
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        kafka, clickhouse = load(KafkaSettings, environ), load(ClickHouseSettings, environ)
        asyncio.run(_run(given, kafka, clickhouse))
    except InvalidSettings as error:
        print(error, file=sys.stderr)
        return 2
    except HeadwaterError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clickhouse dead-letters", description="What a stage could not read."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("list", "newest first"), ("replay", "send back"), ("discard", "close")):
        command = commands.add_parser(name, help=what)
        command.add_argument("--stage", type=Stage, help="|".join(Stage))
        command.add_argument("--reason", type=Quarantine, help="|".join(Quarantine))
        command.add_argument("--limit", type=int, default=1000, help="at most so many (default: %(default)s)")
        if name == "list":
            command.add_argument("--state", type=LetterState, help="|".join(LetterState))
        else:
            command.add_argument("letters", nargs="*", help="names of letters; none: all open ones of stage and reason")
    return parser


async def _run(given: argparse.Namespace, kafka: KafkaSettings, clickhouse: ClickHouseSettings) -> None:
    reader = Reader(clickhouse)
    try:
        if given.command == "list":
            await _list(given, reader)
        else:
            await _decide(given, reader, kafka, clickhouse)
    finally:
        await reader.stop()


async def _list(given: argparse.Namespace, reader: Reader) -> None:
    for row in await found(reader, stage=given.stage, reason=given.reason, state=given.state, limit=given.limit):
        print(
            f"{row.letter_id}  {row.state.value}  {row.reason}  {instant(row.quarantined_ms).isoformat()}  {row.error}"
        )


async def _decide(given: Any, reader: Reader, kafka: KafkaSettings, clickhouse: ClickHouseSettings) -> None:
    log = ControlLog(kafka, client_id=CLIENT_ID)
    decisions = Decisions(
        reader, Connection(clickhouse), Replay(kafka, client_id=CLIENT_ID), control_offset=lambda: log.offset
    )
    replays = given.command == "replay"
    await log.start()
    try:
        letters = [named(text) for text in given.letters]
        for letter in letters:
            await (decisions.replay(letter) if replays else decisions.discard(letter))
        count = len(letters)
        if not letters:
            decide = decisions.replay_open if replays else decisions.discard_open
            count = await decide(given.stage, given.reason, given.limit)
    finally:
        await decisions.stop()
        await log.stop()
    print(f"{count} {'replayed' if replays else 'discarded'}")
