"""The data directory of ``make run``: one instance at a time, and the secrets that are made once and kept.

::

    lock                     held while an instance runs; holds the pid of ``make run``
    ready                    there while everything works; the same pid
    clickhouse-password      0600, made once
    secret                   0600, made once: the key of keyed hashes
    demo.env                 0600, the demo project's ids and keys
    prometheus-targets.json  where each part serves /metrics (Prometheus file_sd)
    kafka/ clickhouse/ ..    what the parts keep
    logs/                    what the supervisor has to say
"""

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.checks import CannotStart

OWNER_ONLY: Final = 0o600


class DataDir:
    """Holds the directory from construction to ``release``.

    Raises :class:`CannotStart` if another instance holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = (path / "lock").open("a+")
        except OSError as error:
            raise CannotStart(f"the data directory cannot be used: {error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            pid = self._lock.read().strip() or "unknown"
            self._lock.close()
            raise CannotStart(f"another instance (pid {pid}) already runs on {path}") from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        self.ready.unlink(missing_ok=True)

    @property
    def ready(self) -> Path:
        return self.path / "ready"

    def mark_ready(self) -> None:
        """Everything works."""
        self.ready.write_text(str(os.getpid()))

    @property
    def demo_env(self) -> Path:
        return self.path / "demo.env"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def lock_fd(self) -> int:
        """Handed to the supervisor too: should we be killed, the directory stays held until its parts are stopped."""
        return self._lock.fileno()

    def release(self) -> None:
        """Give the directory up. Nothing of ours may run any more."""
        self.ready.unlink(missing_ok=True)
        self._lock.close()

    def kept_secret(self, name: str, random_bytes: int) -> Path:
        """The file of a random hexadecimal secret, made if it is not there yet."""
        path = self.path / name
        if not path.exists():
            write_private(path, secrets.token_hex(random_bytes) + "\n")
        return path

    def write_targets(self, ports: Mapping[str, int]) -> None:
        """Tell Prometheus where each part serves its metrics."""
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"job": "headwater", "part": part}}
            for part, port in ports.items()
        ]
        incomplete = self.path / "prometheus-targets.json.new"
        incomplete.write_text(json.dumps(targets, indent=2) + "\n")
        incomplete.rename(self.path / "prometheus-targets.json")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can ever read, whole or not at all."""
    incomplete = path.with_name(f"{path.name}.new")
    incomplete.unlink(missing_ok=True)
    with os.fdopen(os.open(incomplete, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "w") as file:
        file.write(text)
    incomplete.rename(path)
