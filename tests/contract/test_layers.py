"""The import arrows point one way; only ``deploy`` puts everything together.

``schemas <- control <- ingest``, ``schemas <- processors.core <- stages <- runtime``, ``schemas <- clickhouse``.
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from harness import ROOT

PACKAGES: Final = ("schemas", "control", "ingest", "processors", "clickhouse", "deploy")
SOURCES: Final = tuple(sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")))


class Arrow(NamedTuple):
    """Modules below ``inside`` may import, of what is listed in ``limits``, only ``allowed``."""

    inside: str
    allowed: tuple[str, ...]


# For each part of the tree the packages of ours that it may import, besides itself. The longest match counts.
ALLOWED: Final = (
    Arrow("schemas", ()),
    Arrow("control", ("schemas",)),
    Arrow("ingest", ("schemas", "control")),
    Arrow("clickhouse", ("schemas",)),
    Arrow("clickhouse.api", ("schemas", "control", "clickhouse")),
    Arrow("processors", ("schemas", "control", "clickhouse")),
    Arrow("processors.core", ("schemas",)),
    Arrow("processors.stages", ("schemas", "control", "processors.core")),
    Arrow("deploy", PACKAGES),
)
# Libraries that only some parts of the tree may know.
CONFINED: Final = {
    "aiokafka": (
        "control",
        "ingest.producer",
        "processors.runtime",
        "processors.booker",
        "processors.delivery",
        "deploy",
    ),
    "clickhouse_connect": ("clickhouse",),
    "chdb": ("clickhouse.embedded",),
    "cryptography": ("control.contacts", "control.seals"),
    "rocksdict": ("processors.runtime", "processors.stages.state"),
    "litestar": ("clickhouse.api",),
    "faust": ("processors.delivery",),
    "aiohttp": ("processors.delivery",),
    "standardwebhooks": ("processors.delivery",),
}
LIBRARIES_OF: Final = {"schemas": {"msgspec"}, "processors.core": {"msgspec"}}
"""Parts of the tree that may import these libraries and the standard library only."""

IMPURE: Final = {
    "asyncio",
    "io",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
}


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Full names of all that a module imports, wherever it does; ``from a import b`` gives ``a`` and ``a.b``."""
    return tuple(imports_of(path.read_text(), module(path)))


def imports_of(source: str, name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def arrow_of(name: str) -> Arrow:
    return max((arrow for arrow in ALLOWED if within(name, arrow.inside)), key=lambda arrow: len(arrow.inside))


def broken_arrows(name: str, imported: tuple[str, ...]) -> list[str]:
    """Imports of a module that point the wrong way."""
    arrow = arrow_of(name)
    fine = (arrow.inside, *arrow.allowed)
    ours = [other for other in imported if other.partition(".")[0] in PACKAGES]
    wrong = [other for other in ours if not any(within(other, package) for package in fine)]
    # `from processors import core` names the parent of what it imports: only the part that is imported counts.
    return [other for other in wrong if not any(within(longer, other) and longer != other for longer in ours)]


def test_imports_point_one_way() -> None:
    broken = {module(path): broken_arrows(module(path), imports(path)) for path in SOURCES}
    assert {name: wrong for name, wrong in broken.items() if wrong} == {}


@pytest.mark.parametrize("library", CONFINED)
def test_a_library_stays_where_it_belongs(library: str) -> None:
    users = {module(path) for path in SOURCES if any(within(other, library) for other in imports(path))}
    assert {name for name in users if not any(within(name, home) for home in CONFINED[library])} == set()


@pytest.mark.parametrize("package", LIBRARIES_OF)
def test_a_low_layer_imports_the_standard_library_and_msgspec_only(package: str) -> None:
    inside = [path for path in SOURCES if within(module(path), package)]
    foreign = {other.partition(".")[0] for path in inside for other in imports(path)} - set(PACKAGES)
    assert foreign - LIBRARIES_OF[package] - sys.stdlib_module_names == set()


def test_core_is_pure() -> None:
    """No I/O, clock, environment, chance or logging: the same input gives the same rows, now and in a rebuild."""
    inside = [path for path in SOURCES if within(module(path), "processors.core")]
    assert {other for path in inside for other in imports(path) if other.partition(".")[0] in IMPURE} == set()


def test_only_programs_read_the_environment() -> None:
    """A program is a ``__main__`` file, or what stands under ``if __name__ == "__main__"``."""
    libraries = [path for path in SOURCES if path.name != "__main__.py"]
    assert [module(path) for path in libraries if reads_environment(path.read_text())] == []


def reads_environment(source: str) -> bool:
    tree = ast.parse(source)
    programs = [node for node in tree.body if isinstance(node, ast.If) and "__main__" in ast.dump(node.test)]
    excused = {id(inner) for program in programs for inner in ast.walk(program)}
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in ("environ", "environb", "getenv")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and id(node) not in excused
        for node in ast.walk(tree)
    ) or any(name.startswith(("os.environ", "os.getenv")) for name in imports_of(source, ""))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        pytest.param("schemas.x", "import control.log", id="schemas-control"),
        pytest.param("control.x", "from ingest import app", id="control-ingest"),
        pytest.param("ingest.x", "def f():\n    import clickhouse.writer", id="inside-a-function"),
        pytest.param("processors.core.x", "from processors.stages import lines", id="core-stages"),
        pytest.param("processors.stages.x", "from processors import runtime", id="stages-runtime"),
        pytest.param("clickhouse.x", "from control.log import ControlLog", id="store-control"),
        pytest.param("processors.x", "import deploy", id="processors-deploy"),
    ],
)
def test_a_wrong_arrow_is_noticed(name: str, source: str) -> None:
    assert broken_arrows(name, tuple(imports_of(source, name)))


def test_reading_the_environment_in_a_library_is_noticed() -> None:
    assert reads_environment("import os\nx = os.environ['A']")
    assert reads_environment("from os import environ")
    assert not reads_environment("import os\nif __name__ == '__main__':\n    main(os.environ)")
