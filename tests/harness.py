"""What tests use to run the real thing: processes that are always ended, by their id, and waits that always end."""

import base64
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

ROOT: Final = Path(__file__).parent.parent
POLL_S: Final = 0.02
POLL_MAX_S: Final = 0.25
READY_LIMIT_S: Final = 60.0
STOP_LIMIT_S: Final = 30.0


class Process:
    """A ``python -m ..`` of ours, or another program: started, killed, started again as often as a test likes.

    It is tethered to the thread that starts it, so it does not even outlive a pytest that was killed: start it from
    the main thread.
    """

    def __init__(
        self,
        *command: str,
        environment: Mapping[str, str],
        directory: Path,
        ready_url: str | None = None,
        is_module: bool = True,
    ) -> None:
        """``directory`` keeps what the process prints. Without ``ready_url`` it counts as ready at once."""
        self.command = command
        self._argv = python("-m", *command) if is_module else list(command)
        self.environment = dict(environment)
        self.ready_url = ready_url
        self._log = directory / f"{'-'.join(command[:2])}-{id(self):x}.log".replace("/", "_")
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._started.pid

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def output(self) -> str:
        """All that it printed so far, over all its lives."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self, *, wait: bool = True, limit_s: float = READY_LIMIT_S) -> "Process":
        """Start it, and unless told otherwise wait until it is ready."""
        assert not self.running, "it runs already"
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                python("-m", "deploy.tether", *self._argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=ROOT,
                start_new_session=True,
            )
        if wait:
            self.wait_ready(limit_s)
        return self

    def wait_ready(self, limit_s: float = READY_LIMIT_S) -> None:
        """Fails, with what the process printed, if it ends or takes too long."""
        ready_url = self.ready_url
        if ready_url is None:
            return

        def ready() -> bool:
            assert self.running, f"{' '.join(self.command)} ended ({self._started.returncode}):\n{self.output[-4000:]}"
            return status(ready_url) == 200

        eventually(ready, limit_s, lambda: f"{' '.join(self.command)} is not ready:\n{self.output[-4000:]}")

    def kill(self) -> None:
        """kill -9."""
        self._started.kill()
        self._started.wait()

    def freeze(self) -> None:
        """SIGSTOP: alive, but answering nothing, until ``thaw``."""
        self._started.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._started.send_signal(signal.SIGCONT)

    def signal(self, number: int) -> None:
        self._started.send_signal(number)

    def wait(self, limit_s: float = STOP_LIMIT_S) -> int:
        """Wait until it ends by itself, and return its status."""
        return self._started.wait(limit_s)

    def terminate(self, limit_s: float = STOP_LIMIT_S) -> int:
        """SIGTERM, then wait for the end; returns its status (negative: the signal). Fails if it stays."""
        self._started.terminate()
        return self.wait(limit_s)

    def end(self, limit_s: float = 10.0) -> None:
        """End it whatever it does: SIGTERM, and kill -9 for one that does not listen. Nothing if it has ended."""
        if not self.running:
            return
        self.thaw()
        self._started.terminate()
        try:
            self._started.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        assert self._popen is not None, "it was never started"
        return self._popen


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def base_environment() -> dict[str, str]:
    """This process's environment without any setting of ours, with the repository's packages importable."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def instance_environment(data_dir: Path) -> dict[str, str]:
    """The environment of a ``make run`` on ports of its own."""
    http, clickhouse, kafka = free_ports(3)
    return base_environment() | {
        "HEADWATER_DATA_DIR": str(data_dir),
        "HEADWATER_HTTP_PORT": str(http),
        "HEADWATER_CLICKHOUSE_PORT": str(clickhouse),
        "HEADWATER_KAFKA_PORT": str(kafka),
    }


def eventually(
    condition: Callable[[], bool],
    limit_s: float = READY_LIMIT_S,
    otherwise: str | Callable[[], str] = "it never held",
    *,
    poll_max_s: float = POLL_MAX_S,
) -> None:
    """Wait until ``condition`` holds; fail, saying what, after ``limit_s``.

    It asks less and less often, down to every ``poll_max_s``: what it waits for needs the processor, too.
    """
    deadline = time.monotonic() + limit_s
    pause = POLL_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {limit_s:.0f} s: {otherwise if isinstance(otherwise, str) else otherwise()}")
        time.sleep(pause)
        pause = min(1.5 * pause, poll_max_s)


def free_ports(count: int) -> list[int]:
    """So many different ports that nobody uses now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def free_port() -> int:
    return free_ports(1)[0]


def status(url: str) -> int | None:
    """Status of ``GET url``; None if nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            found: int = answer.status
            return found
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def run_sql(clickhouse_url: str, statement: str) -> str:
    """Run one statement over plain HTTP and return the answer's text; fails with ClickHouse's own message."""
    parts = urlsplit(clickhouse_url)
    address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path or "/", parts.query, ""))
    request = urllib.request.Request(address, data=statement.encode())
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_header("Authorization", "Basic " + base64.b64encode(credentials.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text: str = answer.read().decode()
            return text
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(f"ClickHouse: {error.read().decode(errors='replace')}") from None


def processes_with(setting: str, value: str) -> dict[int, str]:
    """Command line, by id, of each process that was started with this variable in its environment (Linux)."""
    wanted = f"{setting}={value}".encode()
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (directory / "environ").read_bytes().split(b"\0"):
                found[int(directory.name)] = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:  # ended meanwhile, or not ours
            continue
    return found
