"""``make bench``: the figures of this machine, one JSON document a line.

1. ``ingest_bench``: events per CPU-second at the edge (single, batches of 100) beside a raw ASGI floor in the same run.
2. ``drain_bench``: events a second from a full topic into ClickHouse through the events stage.
3. ``attribution_bench``: five models from empty beside the bare SELECT, and one late touch.
4. ``latency_bench``: from the 202 to the fact and to the report, on a whole installation.
5. ``credits_bench``: from the 202 to credits, p99, under a shop's traffic at rising rates, and what each part spends.
"""

import subprocess
import sys
from pathlib import Path

from harness import ROOT, base_environment

BENCHES = ("ingest_bench", "drain_bench", "attribution_bench", "latency_bench", "credits_bench")


def main() -> int:
    environment = base_environment() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    codes = []
    for name in BENCHES:
        print(f"# {name}", flush=True)
        path = Path(__file__).parent / f"{name}.py"
        codes.append(subprocess.run([sys.executable, str(path)], env=environment, cwd=ROOT).returncode)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
