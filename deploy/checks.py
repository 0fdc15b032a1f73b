"""What must be so before anything is started; each failure is one line."""

import contextlib
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.kafka import launcher

HOST: Final = "127.0.0.1"
MIB: Final = 1 << 20


class CannotStart(Exception):
    """Nothing can be started, or what was started had to be stopped; the message is one line."""


def check_disk(directory: Path, min_free_bytes: int) -> None:
    """Raises :class:`CannotStart` if the disk of ``directory``, which need not exist yet, has too little room."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < min_free_bytes:
        raise CannotStart(
            f"no room on disk: {free // MIB} MiB free at {existing}, {-(-min_free_bytes // MIB)} MiB needed "
            "(HEADWATER_MIN_FREE_BYTES)"
        )


def check_path(directory: Path) -> None:
    """Raises :class:`CannotStart` for a path that the embedded ClickHouse engine would read as something else."""
    if {"%", "?"} & set(str(directory)):
        raise CannotStart(f"the data directory's path must not contain % or ?: {directory} (HEADWATER_DATA_DIR)")


def check_kafka_can_run() -> None:
    """Raises :class:`CannotStart` if this machine has nothing that could run a broker."""
    try:
        launcher.find()
    except launcher.NoKafka as error:
        raise CannotStart(str(error)) from error


def check_ports(ports: Mapping[str, int]) -> None:
    """Raises :class:`CannotStart` if a port is taken. They are held together, so that two equal ones are noticed."""
    busy = []
    with contextlib.ExitStack() as held:
        for variable, port in ports.items():
            probe = held.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
                probe.listen()
            except OSError:
                busy.append(f"{port} ({variable})")
    if busy:
        raise CannotStart(f"already in use on {HOST}: port {', '.join(busy)}")


def free_ports(count: int) -> list[int]:
    """So many different ports that nobody uses now."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]
