"""The data directory: created, checked, and locked for one process."""

import fcntl
import os
import shutil
from pathlib import Path


class StartError(Exception):
    """The server cannot start; the message is one line for the operator."""


class DirectoryLock:
    """The directory is this process's own until ``release``, or until the process ends, however it ends."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._descriptor = -1

    def acquire(self) -> None:
        """Raises StartError: not a directory that can be written, or another instance holds it."""
        path = str(self._data_dir)
        if "?" in path or "%" in path:
            raise StartError(f"the data directory's path must not contain '?' or '%': {path}")
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(self._data_dir / "headwater.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartError(f"the data directory {path} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip()
            self.release()
            by = f" (process {holder})" if holder.isdigit() else ""
            raise StartError(f"another instance{by} holds the data directory {path}") from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def empty_spool(spool_dir: Path) -> None:
    """Make the spool directory anew: what lies there is left from an instance that was killed."""
    try:
        shutil.rmtree(spool_dir, ignore_errors=True)
        spool_dir.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StartError(f"the data directory's {spool_dir} cannot be written: {error.strerror}") from None
