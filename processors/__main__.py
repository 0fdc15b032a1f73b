"""``python -m processors events|conversions|booker|delivery``: run one of the processors until SIGTERM.

Exit codes: 0 stopped, 1 a server is away, 2 a setting or an argument is wrong.
"""

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from control.identities import Identities
from control.log import ControlLog
from control.secret import load_secret
from processors.core.forgetting import Forgetting
from processors.runtime.failpoint import FailPoint, Kill, unharmed
from schemas.settings import PREFIX, InvalidSettings, StageSettings, load

Environ = Mapping[str, str]

CHATTY: Final = ("aiokafka", "faust", "mode", "kafka", "urllib3", "clickhouse_connect", "rocksdict")
"""Libraries that log each attempt: what matters of it is said by whoever waits."""


def _failpoint(environ: Environ) -> FailPoint:
    told = environ.get(PREFIX + "FAILPOINT", "")
    return Kill.parse(told) if told else unharmed


def _forgetting(settings: StageSettings, control: ControlLog) -> Forgetting:
    return Forgetting(control.view.forgotten, Identities(load_secret(settings.secret_file)).digest)


def _events(environ: Environ) -> int:
    from processors.runtime.run import main as run
    from processors.topology import events_stage

    return run(
        load(StageSettings, environ),
        lambda settings, control: events_stage(settings, control.view.had_project, _forgetting(settings, control)),
        _failpoint(environ),
    )


def _conversions(environ: Environ) -> int:
    from processors.runtime.run import main as run
    from processors.topology import conversions_stage

    return run(
        load(StageSettings, environ),
        lambda settings, control: conversions_stage(settings, _forgetting(settings, control)),
        _failpoint(environ),
    )


def _booker(environ: Environ) -> int:
    from processors.booker.run import main as run

    return run(environ, _failpoint(environ))


def _delivery(environ: Environ) -> int:
    from processors.delivery.run import main as run

    return run(environ)


COMMANDS: Final[dict[str, Callable[[Environ], int]]] = {
    # imported when run: a process loads what it needs
    "events": _events,
    "conversions": _conversions,
    "booker": _booker,
    "delivery": _delivery,
}


def main(argv: Sequence[str] | None = None, environ: Environ | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    command = COMMANDS.get(arguments[0]) if len(arguments) == 1 else None
    if command is None:
        print(f"usage: python -m processors {'|'.join(COMMANDS)}", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    try:
        return command(os.environ if environ is None else environ)
    except (InvalidSettings, ValueError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
