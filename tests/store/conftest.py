"""Installations without a broker, for tests of the books."""

from collections.abc import Callable, Iterator

import pytest
from databases import Databases
from shop import Shop, opening


@pytest.fixture
def new_shop(databases: Databases) -> Iterator[Callable[[], Shop]]:
    """Makes installations, each in a database of its own."""
    with opening(Shop, databases) as make:
        yield make


@pytest.fixture
def shop(new_shop: Callable[[], Shop]) -> Shop:
    return new_shop()
