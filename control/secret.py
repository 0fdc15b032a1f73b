"""The installation's secret: what keyed hashes and the keys of projects are made from."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

SECRET_BYTES: Final = 32
SECRET_MIN_BYTES: Final = 16
SECRET_MAX_BYTES: Final = 64


def load_secret(path: Path | None) -> bytes:
    """The secret in this file, made on the first use; without a file, one for this process.

    Processes that share a file agree, also when they make it at the same time. Raises OSError, and ValueError for an
    empty or too long one.
    """
    if path is None:
        return secrets.token_bytes(SECRET_BYTES)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(dir=path.parent)  # mode 0600
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(SECRET_BYTES // 2).encode())
        with contextlib.suppress(FileExistsError):
            os.link(made, path)  # fails if another process was first, whole or not at all
        os.unlink(made)
    secret = path.read_bytes().strip()
    if not SECRET_MIN_BYTES <= len(secret) <= SECRET_MAX_BYTES:
        raise ValueError(f"the secret file must hold {SECRET_MIN_BYTES} to {SECRET_MAX_BYTES} bytes")
    return secret
