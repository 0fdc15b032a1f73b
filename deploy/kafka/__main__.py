"""``python -m deploy.kafka``: become the local broker; with ``fetch``: only download what it needs."""

import os
import sys
from collections.abc import Mapping, Sequence

from deploy.kafka import broker, launcher
from schemas.settings import InvalidSettings, load


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    try:
        found = launcher.find()
        if list(argv) == ["fetch"]:
            found.fetch()
            return 0
        command = broker.prepare(load(broker.BrokerSettings, environ), found)
    except (launcher.NoKafka, InvalidSettings) as error:
        print(f"kafka: {error}", file=sys.stderr)
        return 1
    return os.execvp(command[0], command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
