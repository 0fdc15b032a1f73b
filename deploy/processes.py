"""The one table of parts: what runs, in which phase it starts, and in which order it stops.

They stop from the last to the first, group by group: first nothing more comes in, then what is under way is finished,
and the servers go last. The waits of all groups together stay below the 20 s in which everything must be gone.
"""

from enum import IntEnum
from typing import Final

import msgspec


class Phase(IntEnum):
    """What must answer before the next phase starts."""

    SERVERS = 1
    APPLICATION = 2


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One part: ``python -m`` ``command``."""

    name: str
    command: tuple[str, ...]
    phase: Phase
    group: str
    """Parts of one group stop together."""
    stop_wait_s: int
    """Seconds from SIGTERM to SIGKILL."""


PROCESSES: Final = (
    Process(name="kafka", command=("deploy.kafka",), phase=Phase.SERVERS, group="kafka", stop_wait_s=4),
    Process(name="clickhouse", command=("clickhouse", "serve"), phase=Phase.SERVERS, group="clickhouse", stop_wait_s=3),
    Process(name="booker", command=("processors", "booker"), phase=Phase.APPLICATION, group="booker", stop_wait_s=3),
    # Behind the stages: what they announced last may still be told.
    Process(
        name="delivery", command=("processors", "delivery"), phase=Phase.APPLICATION, group="booker", stop_wait_s=3
    ),
    Process(
        name="conversions",
        command=("processors", "conversions"),
        phase=Phase.APPLICATION,
        group="stages",
        stop_wait_s=4,
    ),
    Process(name="events", command=("processors", "events"), phase=Phase.APPLICATION, group="stages", stop_wait_s=4),
    Process(name="web", command=("deploy.web",), phase=Phase.APPLICATION, group="web", stop_wait_s=4),
)


def to_run(*, local_kafka: bool, local_clickhouse: bool, web_processes: int) -> list[Process]:
    """The table for one installation: without the servers that run elsewhere, with as many web processes as wanted."""
    chosen = []
    for process in PROCESSES:
        if (process.name == "kafka" and not local_kafka) or (process.name == "clickhouse" and not local_clickhouse):
            continue
        if process.name == "web" and web_processes > 1:
            numbered = (f"web-{number}" for number in range(1, web_processes + 1))
            chosen += [msgspec.structs.replace(process, name=name) for name in numbered]
        else:
            chosen.append(process)
    return chosen
