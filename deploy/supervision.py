"""The parts under supervisord, which starts a part that dies again and stops all of them in order.

1. supervisord runs in a session of its own: Ctrl-C reaches ``make run`` only, which then stops the parts in order.
2. It and every part are tethered (:mod:`deploy.tether`): none outlives the process that started it, even by kill -9.
3. Its socket is a Unix socket behind a random password. The configuration holds that, and no other secret.
4. A Unix socket's path has at most 108 bytes (104 elsewhere): where the data directory's is longer, the socket goes
   into a private temporary directory.
"""

import asyncio
import contextlib
import http.client
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import xmlrpc.client
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from supervisor.xmlrpc import SupervisorTransport

from deploy.checks import CannotStart
from deploy.data_dir import DataDir, write_private
from deploy.processes import Phase, Process
from deploy.readiness import until

SOCKET_PATH_MAX_BYTES: Final = 100
SWEEP_WAIT_S: Final = 1.0

DAEMON: Final = """\
[supervisord]
nodaemon=true
{user}pidfile={pidfile}
logfile=/dev/null
logfile_maxbytes=0
loglevel=warn
identifier=headwater
childlogdir={logs}

[unix_http_server]
file={socket}
chmod=0600
username=headwater
password={password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
PROGRAM: Final = """
[program:{name}]
command={command}
environment={environment}
autostart=false
autorestart=true
startsecs=1
startretries=1000000
stopwaitsecs={stop_wait_s}
killasgroup=true
redirect_stderr=true
stdout_logfile=/dev/fd/1
stdout_logfile_maxbytes=0
"""
GROUP: Final = """
[group:{group}]
programs={programs}
priority={priority}
"""


class Supervisor:
    """supervisord with the given parts, none of them started yet."""

    def __init__(
        self,
        data_dir: DataDir,
        processes: Sequence[Process],
        environment: Mapping[str, str],
        own_environment: Mapping[str, Mapping[str, str]],
    ) -> None:
        """``environment`` is every part's; ``own_environment``, by name, is added to it, and holds no secret."""
        self._processes = processes
        self._temporary: str | None = None
        path = data_dir.path / "supervisor.sock"
        if len(os.fsencode(path)) > SOCKET_PATH_MAX_BYTES:
            self._temporary = tempfile.mkdtemp(prefix="headwater-")
            path = Path(self._temporary) / "supervisor.sock"
        password = secrets.token_hex(16)
        configuration = data_dir.path / "supervisord.conf"
        data_dir.logs.mkdir(exist_ok=True)
        write_private(
            configuration,
            configure(processes, own_environment, data_dir=data_dir.path, socket_path=path, password=password),
        )
        transport = SupervisorTransport("headwater", password, f"unix://{path}")
        self._rpc = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        with (data_dir.logs / "supervisord.log").open("a") as log:
            self._daemon = subprocess.Popen(
                tethered(sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(configuration)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(environment),
                start_new_session=True,
                pass_fds=(data_dir.lock_fd,),
            )
        self._socket = path
        assert self._daemon.stdout is not None
        self._forward = threading.Thread(target=_copy, args=(self._daemon.stdout,), daemon=True)
        self._forward.start()

    async def start(self, phase: Phase) -> None:
        """Start the parts of a phase; whether they are ready is for others to find out."""
        await until(lambda: self._accepts() or self._daemon.poll() is not None)
        try:
            for process in self._processes:
                if process.phase is phase:
                    await asyncio.to_thread(self._rpc.supervisor.startProcess, f"{process.group}:{process.name}", False)
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise CannotStart(f"the supervisor could not start a part: {error}") from error

    async def ended(self) -> int:
        """Wait until supervisord ends by itself, which it should not, and return its status."""
        await until(self._has_ended)
        return self._daemon.returncode

    async def stop(self, limit_s: float) -> None:
        """Stop every part in order, and supervisord; what is left after ``limit_s`` is killed."""
        if self._daemon.poll() is None:
            self._daemon.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                # Parts outlive supervisord only if that was killed; their tethers then tell each of them to end.
                await until(lambda: self._has_ended() and not any(members(self._daemon.pid)))
        for pid in members(self._daemon.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._daemon.wait()
        await asyncio.to_thread(self._forward.join, SWEEP_WAIT_S)
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _has_ended(self) -> bool:
        return self._daemon.poll() is not None

    def _accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket)) == 0


def configure(
    processes: Sequence[Process],
    own_environment: Mapping[str, Mapping[str, str]],
    *,
    data_dir: Path,
    socket_path: Path,
    password: str,
) -> str:
    """The text of supervisord's configuration."""
    user = f"user={os.getuid()}\n" if os.getuid() == 0 else ""  # root must be named, or it warns at each start
    daemon = DAEMON.format(
        user=user,
        pidfile=_escaped(str(data_dir / "supervisord.pid")),
        logs=_escaped(str(data_dir / "logs")),
        socket=_escaped(str(socket_path)),
        password=password,
    )
    programs = [
        PROGRAM.format(
            name=process.name,
            command=_escaped(shlex.join(tethered(sys.executable, "-m", *process.command))),
            environment=_escaped(",".join(f'{k}="{v}"' for k, v in own_environment.get(process.name, {}).items())),
            stop_wait_s=process.stop_wait_s,
        )
        for process in processes
    ]
    groups: dict[str, list[str]] = {}
    for process in processes:
        groups.setdefault(process.group, []).append(process.name)
    return (
        daemon
        + "".join(programs)
        + "".join(
            GROUP.format(group=group, programs=",".join(names), priority=priority)
            for priority, (group, names) in enumerate(groups.items(), start=1)
        )
    )


def tethered(*command: str) -> list[str]:
    """The command that runs ``command`` for as long as its parent lives."""
    return [sys.executable, "-m", "deploy.tether", *command]


def members(session: int) -> Iterator[int]:
    """Processes of a session that still run. Only Linux can tell; elsewhere there are none."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of_session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # ended meanwhile
            continue
        if int(of_session) == session and state != "Z":
            yield int(stat.parent.name)


def _escaped(value: str) -> str:
    """supervisord expands ``%(..)s``."""
    return value.replace("%", "%%")


def _copy(stream: IO[bytes]) -> None:
    """Print what the parts print. The pipe is read to its end even when nobody reads us, or the parts would block."""
    reader_left = False
    while chunk := os.read(stream.fileno(), 1 << 16):
        if not reader_left:
            try:
                sys.stdout.buffer.write(chunk)
                sys.stdout.flush()
            except OSError:
                reader_left = True
