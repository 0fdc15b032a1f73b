"""``python -m control topics``: create the declared topics and print what there is.

Exit codes: 0 done, 1 Kafka is away or refuses, 2 a setting or an argument is wrong.
"""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence

from control.topics import WAIT_S, ensure_topics
from schemas.errors import HeadwaterError
from schemas.settings import InvalidSettings, KafkaSettings, load


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m control", description="The control log and the topics.")
    commands = parser.add_subparsers(dest="command", required=True)
    topics = commands.add_parser("topics", help="create the declared topics where they are missing")
    topics.add_argument(
        "--wait-s", type=float, default=WAIT_S, help="how long to wait for Kafka (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    # The client logs each failed attempt; one line at the end says it better.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        states = asyncio.run(ensure_topics(load(KafkaSettings, environ), wait_s=arguments.wait_s))
    except InvalidSettings as error:
        print(error, file=sys.stderr)
        return 2
    except HeadwaterError as error:
        print(error.message, file=sys.stderr)
        return 1
    made = sum(state.created for state in states)
    listed = ", ".join(f"{state.name} ({state.partitions})" for state in states)
    print(f"topics: {made} created, {len(states) - made} already there: {listed}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
