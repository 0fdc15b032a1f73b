"""What a newcomer relies on before reading any code."""

import importlib
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Final

import pytest
from harness import ROOT

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: Final = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
TARGETS: Final = ("help", "setup", "run", "demo", "fmt", "check", "test", "test-all", "bench", "up", "down")
TEXT: Final = {
    ".py",
    ".sql",
    ".md",
    ".toml",
    ".txt",
    ".xml",
    ".yaml",
    ".yml",
    ".json",
    ".properties",
    ".html",
    ".js",
    "",
}
NOT_OURS: Final = {
    "node_modules",
    ".git",
    ".venv",
    ".headwater",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    "lib",
}


def files() -> list[Path]:
    """Every text file of the project, built and downloaded ones aside."""
    found = []
    pending = [ROOT]
    while pending:
        for path in pending.pop().iterdir():
            if path.name in NOT_OURS or path.name == "__pycache__":
                continue
            if path.is_dir():
                pending.append(path)
            elif path.suffix in TEXT and not path.name.startswith(".coverage"):
                found.append(path)
    return sorted(found)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_the_one_of_this_repository(package: str) -> None:
    """PyPI has packages of the same names: whichever is imported must be ours."""
    imported = importlib.import_module(package)
    assert imported.__file__ is not None
    assert Path(imported.__file__).parent == ROOT / package


@pytest.mark.parametrize("target", TARGETS)
def test_make_knows_the_target(target: str) -> None:
    """``-n`` prints what would be done; an unknown target is an error."""
    assert subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_make_help_lists_every_target() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[0] for line in shown.splitlines()} == set(TARGETS)


def test_ci_runs_make_test_last() -> None:
    """So that the log ends with pytest's summary."""
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make test"


def test_every_dependency_has_one_pinned_version() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9A-Za-z.+!]*", line) for line in lines)
    pinned = {line.partition("==")[0] for line in lines}
    project = PROJECT["project"]
    wanted = project["dependencies"] + [name for extra in project["optional-dependencies"].values() for name in extra]
    assert {canonical(name) for name in wanted} <= pinned


def canonical(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def test_no_file_names_a_machine() -> None:
    """Home directories, scratch directories and package mirrors exist on one machine only."""
    machine = re.compile(
        r"(?<![\w.])/(?:home|Users|root|mnt|work)/|/tmp/(?!\W)|\bindex-url\b|\bextra-index\b|\bfind-links\b"
    )
    found = {path: machine.search(path.read_text(errors="replace")) for path in files() if path != Path(__file__)}
    assert {str(path): match[0] for path, match in found.items() if match} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_module_and_a_folder_never_share_a_stem(package: str) -> None:
    """``queries.py`` beside ``queries/``: one of them could not be imported."""
    for path in (ROOT / package).rglob("*.py"):
        assert not path.with_suffix("").is_dir(), path
