"""The walk of a run over little: each key is looked up once, in the order of the hops, and within bounds."""

from collections.abc import Mapping, Sequence

from processors.booker.attribution import HOPS
from processors.booker.walk import Graph
from processors.core.persons import Key


def key(name: str) -> Key:
    """``user ann``: of kind user."""
    kind, value = name.split()
    return Key("p", kind, value)


class Edges:
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


def reached(edges: Edges, start: str) -> set[str]:
    found = Graph(edges.edges_of).walk([key(start)], HOPS)
    assert found is not None
    return {f"{one.kind} {one.key}" for one in found}


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
    assert {name for name in reached(Edges(*PEOPLE), "session s1") if "conversion" in name} == {
        "conversion c1",
        "conversion c2",
    }


def test_no_key_is_looked_up_twice() -> None:
    edges = Edges(*PEOPLE)
    graph = Graph(edges.edges_of)
    graph.walk([key("session s1")], HOPS)
    graph.walk([key("session s1")], HOPS)
    assert len(edges.asked) == len(set(edges.asked))


def test_what_leads_nowhere_new_asks_nothing_more() -> None:
    edges = Edges("session s1 - user ann")
    assert reached(edges, "session s1") == {"session s1", "user ann"}
    assert edges.asked == [key("session s1"), key("user ann")]


def test_what_is_looked_up_beside_a_walk_is_counted_and_not_walked() -> None:
    graph = Graph(Edges(*(f"fingerprint f - conversion c{n}" for n in range(7))).edges_of)
    assert graph.walk([key("session s1")], HOPS) == {key("session s1")}
    assert graph.look_up([key("fingerprint f")])
    assert graph.most == 7


def test_a_walk_that_meets_too_much_is_given_up() -> None:
    assert Graph(lambda keys: None).walk([key("session s1")], HOPS) is None
