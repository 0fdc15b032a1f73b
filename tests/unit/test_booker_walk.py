"""The walk of a run over little: each key is looked up once, in the order of the hops, and within bounds."""

from collections.abc import Mapping, Sequence

from processors.booker.attribution import HOPS
from processors.booker.walk import Key, Reached, walk


def key(name: str) -> Key:
    """``user ann``: of kind user."""
    kind, value = name.split()
    return Key("p", kind, value)


class Graph:
    """Edges both ways; remembers what was asked."""

    def __init__(self, *edges: str) -> None:
        self.edges: dict[Key, set[Key]] = {}
        self.asked: list[Key] = []
        for edge in edges:
            one, other = map(key, edge.split(" - "))
            self.edges.setdefault(one, set()).add(other)
            self.edges.setdefault(other, set()).add(one)

    def edges_of(self, keys: Sequence[Key]) -> Mapping[Key, set[Key]]:
        self.asked += keys
        return {one: self.edges[one] for one in keys if one in self.edges}


def reached(graph: Graph, start: str) -> set[str]:
    found = walk([key(start)], [], HOPS, graph.edges_of)
    assert found is not None
    return {f"{one.kind} {one.key}" for one in found.keys}


PEOPLE = (
    "session s1 - anonymous phone",
    "session s2 - anonymous phone",
    "session s2 - user ann",
    "conversion c1 - user ann",
    "session s3 - user ann",
    "session s3 - anonymous desk",
    "conversion c2 - anonymous desk",
    "session s9 - anonymous other",
    "conversion c9 - anonymous other",
)


def test_a_visit_concerns_the_conversions_of_all_browsers_of_its_user_and_nobody_elses() -> None:
    assert {name for name in reached(Graph(*PEOPLE), "session s1") if "conversion" in name} == {
        "conversion c1",
        "conversion c2",
    }


def test_no_key_is_looked_up_twice() -> None:
    graph = Graph(*PEOPLE)
    reached(graph, "session s1")
    assert len(graph.asked) == len(set(graph.asked))


def test_what_leads_nowhere_new_asks_nothing_more() -> None:
    graph = Graph("session s1 - user ann")
    assert reached(graph, "session s1") == {"session s1", "user ann"}
    assert graph.asked == [key("session s1"), key("user ann")]


def test_asides_are_counted_and_not_walked() -> None:
    graph = Graph(*(f"fingerprint f - conversion c{n}" for n in range(7)))
    found = walk([key("session s1")], [key("fingerprint f")], HOPS, graph.edges_of)
    assert found == Reached({key("session s1")}, 7)


def test_a_walk_that_meets_too_much_is_given_up() -> None:
    assert walk([key("session s1")], [], HOPS, lambda keys: None) is None
