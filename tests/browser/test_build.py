"""The script in the repository is what its sources build, and small."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import ROOT

from ingest.tracker.script import SCRIPT

SOURCES = ROOT / "ingest" / "tracker"
MAX_BYTES = 4096
NO_REGISTRY = re.compile(r"npm error code (ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|E5\d\d)")


def test_it_is_below_4_kb_zipped() -> None:
    assert len(gzip.compress(SCRIPT)) < MAX_BYTES


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources without the script, and the pinned tools."""
    if shutil.which("npm") is None:
        pytest.skip("no npm here")
    directory = tmp_path_factory.mktemp("tracker")
    for path in (*SOURCES.glob("*.ts"), *SOURCES.glob("*.json")):
        shutil.copy(path, directory)
    install = (
        "npm",
        "install",
        "--no-package-lock",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--fetch-retries=1",
        "--fetch-retry-mintimeout=1000",
    )
    installed = subprocess.run(install, cwd=directory, capture_output=True, text=True, check=False, timeout=120)
    if missing := NO_REGISTRY.search(installed.stderr):
        pytest.skip(f"the npm registry cannot be reached: {missing[1]}")
    assert installed.returncode == 0, installed.stderr
    return directory


def npm_run(script: str, directory: Path) -> None:
    done = subprocess.run(
        ("npm", "run", script), cwd=directory, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_building_it_gives_the_checked_in_bytes(workshop: Path) -> None:
    npm_run("build", workshop)
    assert (workshop / "oa.js").read_bytes() == SCRIPT, "run `npm install && npm run build` in ingest/tracker"


def test_its_types_are_sound(workshop: Path) -> None:
    npm_run("check", workshop)
