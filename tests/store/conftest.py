"""Installations without a broker, for tests of the books."""

from collections.abc import Callable, Iterator

import pytest
from databases import Databases
from shop import SIZES, Shop, opening


@pytest.fixture
def new_shop(databases: Databases) -> Iterator[Callable[[], Shop]]:
    """Makes installations, each in a database of its own."""
    with opening(Shop, databases) as make:
        yield make


@pytest.fixture(params=SIZES, ids=["large runs", "small runs"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules hold whoever applies them."""
    monkeypatch.setattr(Shop, "small_run_positions", request.param)


@pytest.fixture
def shop(new_shop: Callable[[], Shop]) -> Shop:
    return new_shop()
