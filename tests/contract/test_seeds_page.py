"""``docs/seeds.md`` is true: each test that it names is there, and each example of the seeds has its row."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from examples import PAGES
from harness import ROOT

TESTS: Final = ROOT / "tests"
NOT_YET: Final = "not yet"
SHOWN: Final = re.compile(r"`([a-z_0-9/]+\.py)::(test_[a-z_0-9]+)`")
KEPT: Final = {"S0": "s0_conversions.md", "S1": "s1_links.md", "S2": "s2_goals.md", "S3": "s3_conversions.txt"}


@cache
def rows() -> dict[str, list[tuple[str, str]]]:
    """Promise and what shows it, by seed."""
    found: dict[str, list[tuple[str, str]]] = {}
    seed = ""
    for line in (ROOT / "docs" / "seeds.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            seed = line[3:5]
        elif seed and line.startswith("| ") and not line.startswith("| promise"):
            promise, shown = (cell.strip() for cell in line.strip("| ").split(" | "))
            found.setdefault(seed, []).append((promise, shown))
    return found


ROWS: Final = [(seed, *row) for seed, of_seed in rows().items() for row in of_seed]


@cache
def defined_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def examples_of(name: str) -> list[str]:
    """Titles of a page's examples: what stands over a block of code, or over a method and its path."""
    text = (PAGES / name).read_text(encoding="utf-8")
    if name.endswith(".md"):
        return re.findall(r"^## (.+)$", text, re.MULTILINE)
    return re.findall(r"^(.+)\n(?:GET|POST|PUT|PATCH|DELETE)$", text, re.MULTILINE)


@pytest.mark.parametrize(("seed", "promise", "shown"), ROWS, ids=[f"{seed} {promise}" for seed, promise, _ in ROWS])
def test_a_promise_names_tests_that_exist_or_says_not_yet(seed: str, promise: str, shown: str) -> None:
    if shown == NOT_YET:
        assert not promise.startswith("*"), "an example is run as printed"
        return
    named = SHOWN.findall(shown)
    assert ", ".join(f"`{path}::{test}`" for path, test in named) == shown
    for path, test in named:
        assert test in defined_in(TESTS / path), path


@pytest.mark.parametrize("seed", KEPT)
def test_every_example_of_a_seed_has_its_row(seed: str) -> None:
    titles = examples_of(KEPT[seed])
    assert titles
    shown = [promise.strip("*") for promise, _ in rows()[seed] if promise.startswith("*")]
    assert sorted(shown) == sorted(titles)


def test_every_kept_page_belongs_to_a_seed() -> None:
    assert {path.name for path in PAGES.iterdir()} == set(KEPT.values())


def test_no_promise_stands_twice() -> None:
    for seed, of_seed in rows().items():
        promises = [promise for promise, _ in of_seed]
        assert len(set(promises)) == len(promises), seed
