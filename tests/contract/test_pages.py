"""What the pages say is there, is there."""

import re
from pathlib import Path
from typing import Final

import pytest
from harness import ROOT

PAGES: Final = ("README.md", "DESIGN.md")
NAMED: Final = re.compile(r"`([a-z_]+(?:/[A-Za-z_0-9.]+)+)`")


def named(page: str) -> list[str]:
    """Paths of the repository that a page names in backquotes."""
    found = NAMED.findall((ROOT / page).read_text(encoding="utf-8"))
    return sorted({path for path in found if (ROOT / path.split("/")[0]).is_dir() or path.startswith("bookings/")})


def exists(path: str) -> bool:
    return any((base / path).exists() for base in (ROOT, ROOT / "clickhouse", ROOT / "processors"))


@pytest.mark.parametrize("page", PAGES)
def test_every_file_a_page_names_exists(page: str) -> None:
    assert named(page)
    assert [path for path in named(page) if not exists(path)] == []


def test_every_make_target_of_the_readme_exists() -> None:
    text = Path(ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z-]+)", text)) <= targets
