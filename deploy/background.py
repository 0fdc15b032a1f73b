"""``make up`` and ``make down``: the same as ``make run``, but in the background.

``up`` returns once everything works, or with the error that ``make run`` would have shown.
"""

import argparse
import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.readiness import until
from deploy.settings import RunSettings
from schemas.settings import InvalidSettings, load

DOWN_LIMIT_S: Final = 25


async def up(settings: RunSettings, environ: Mapping[str, str]) -> int:
    """Start an instance and wait until it is ready; its own exit status if it ends before that."""
    logs = settings.directory / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / "run.log"
    log.touch()
    seen = log.stat().st_size
    instance = _start(log, environ)
    ready = settings.directory / "ready"
    await until(lambda: instance.poll() is not None or _text(ready) == str(instance.pid))
    with log.open() as output:
        output.seek(seen)
        print(output.read(), end="")
    return instance.poll() or 0


def _start(log: Path, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with log.open("a") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.run"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environ),
            start_new_session=True,
        )


async def down(settings: RunSettings) -> int:
    """Stop the instance that holds the data directory and wait until it is gone; 0 also if there is none."""
    lock = settings.directory / "lock"
    if not _held(lock):
        return 0
    os.kill(int(_text(lock)), signal.SIGTERM)
    try:
        async with asyncio.timeout(DOWN_LIMIT_S):
            await until(lambda: not _held(lock))
    except TimeoutError:
        print(f"headwater: still running after {DOWN_LIMIT_S} s", file=sys.stderr)
        return 1
    return 0


def _held(lock: Path) -> bool:
    if not lock.exists():
        return False
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _text(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.background")
    parser.add_argument("command", choices=("up", "down"))
    command = parser.parse_args(argv).command
    try:
        settings = load(RunSettings, environ)
    except InvalidSettings as error:
        print(f"headwater: {error}", file=sys.stderr)
        return 1
    return asyncio.run(up(settings, environ) if command == "up" else down(settings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
