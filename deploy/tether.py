"""``python -m deploy.tether COMMAND ..``: become COMMAND, which is told to end (SIGTERM) when its parent dies.

kill -9 leaves a parent no time to stop its children. Linux does it then: PR_SET_PDEATHSIG survives exec, and the
kernel sends the signal whatever the parent died of. So no part outlives its supervisor, nor the supervisor
``make run``. Elsewhere the command just runs.
"""

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel knew
            sys.exit(1)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
