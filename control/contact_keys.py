"""The keys that addresses are sealed with: random, one a project, kept in files so that they can be erased.

They are not derived from the installation's secret and not in the control log, which is kept for ever: what can be made
again, or read again, cannot be erased. The files are beside the secret's; whoever writes and whoever reads share them.
"""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Final
from uuid import UUID

KEY_BYTES: Final = 32
ERASED: Final = ".erased"


class ContactKeys:
    """Keys of projects in a directory, or, without one, of this process."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._kept: dict[str, bytes] = {}
        self._erased: set[str] = set()

    @classmethod
    def beside(cls, secret_file: Path | None) -> "ContactKeys":
        """Those beside this secret."""
        return cls(None if secret_file is None else secret_file.parent / "contact-keys")

    def find(self, project_id: str) -> bytes | None:
        """The key; None if there is none, or none any more. It is read each time: another process may erase it."""
        if self._directory is None:
            return self._kept.get(project_id)
        with contextlib.suppress(FileNotFoundError):
            return self._file(self._directory, project_id).read_bytes()
        return None

    def make(self, project_id: str) -> bytes:
        """The key, made if there is none. Processes that make it at the same time agree."""
        found = self.find(project_id)
        if found is not None:
            return found
        key = secrets.token_bytes(KEY_BYTES)
        if self._directory is None:
            return self._kept.setdefault(project_id, key)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(dir=self._directory)  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(made, self._file(self._directory, project_id))  # fails if another process was first
        finally:
            os.unlink(made)
        return self._file(self._directory, project_id).read_bytes()

    def erase(self, project_id: str) -> bool:
        """Erase the key, for good; whether there was one. From here on nothing older can be read either."""
        if self._directory is None:
            self._erased.add(project_id)
            return self._kept.pop(project_id, None) is not None
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._file(self._directory, project_id)
        path.with_suffix(ERASED).touch()
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        return True

    def was_erased(self, project_id: str) -> bool:
        """Whether a key was ever erased: addresses of before keys were random must not be shown then."""
        if self._directory is None:
            return project_id in self._erased
        return self._file(self._directory, project_id).with_suffix(ERASED).exists()

    @staticmethod
    def _file(directory: Path, project_id: str) -> Path:
        with contextlib.suppress(ValueError):
            return directory / str(UUID(project_id))
        return directory / f"project-{project_id.encode().hex()}"
