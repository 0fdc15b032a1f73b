"""Examples as the seeds' pages print them, kept in ``tests/contract/seeds``, and programs that run them."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

PAGES: Final = Path(__file__).parent / "contract" / "seeds"
RUN_LIMIT_S: Final = 60


def page(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")


def example(text: str, title: str, language: str) -> str:
    """The block of this language under this heading of a page."""
    section = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section is not None, title
    block = re.search(rf"```{language}\n(.*?)```", section.group(1), re.DOTALL)
    assert block is not None, f"{title}: {language}"
    return block.group(1)


def program(*command: str) -> str:
    """The path of a program that works here, else the test skips. ``command``: what shows that it works."""
    found = shutil.which(command[0])
    if found is None or (
        len(command) > 1 and subprocess.run([found, *command[1:]], capture_output=True, timeout=RUN_LIMIT_S).returncode
    ):
        pytest.skip(f"{' '.join(command)} does not work on this machine")
    return found


def run(*command: str) -> str:
    """What a program prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_shell(command: str) -> tuple[int, str]:
    """Run a page's curl command in a shell; the status and the answer's text."""
    program("curl")
    text = f"{command.rstrip()} --silent --show-error --write-out '\\n%{{http_code}}'"
    body, _, status = run("bash", "-c", text).rpartition("\n")
    return int(status), body
