"""A request that is refused, as data, and tables of those that every endpoint has in common.

``{names}`` in paths, bodies and headers stand for what is really there: :class:`tests.pipeline.test_bad_input.Tenants`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

NO_BODY: Final = object()

TEXT: Final = ((5, "number"), (True, "boolean"), (["x"], "list"), ({"x": 1}, "object"))
"""What no text is."""
ID: Final = ((True, "boolean"), (["x"], "list"), ({"x": 1}, "object"))
NUMBER: Final = (("x", "text"), (True, "boolean"), ([1], "list"), ({"x": 1}, "object"))


class Case(NamedTuple):
    """``body``: sent as JSON, bytes as they are. ``key``: whose (see ``Tenants``)."""

    name: str
    method: str
    path: str
    status: int
    code: str
    field: str | None = None
    body: Any = NO_BODY
    key: str = "secret"
    headers: Mapping[str, str] = {}


class Endpoint(NamedTuple):
    """Where a good request would go, and what it would be."""

    method: str
    path: str
    body: Any = NO_BODY

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def case(self, what: str, status: int, code: str, field: str | None = None, **changed: Any) -> Case:
        given = {"body": self.body, "path": self.path} | changed
        return Case(f"{self.name}: {what}", self.method, status=status, code=code, field=field, **given)

    def but(self, field: str, value: Any) -> Any:
        """The good body with another value of a field; ``...`` leaves it out; a dotted field is one inside."""
        return _but(self.body, field.split("."), value)

    def wrong(
        self, field: str, values: Iterable[tuple[Any, str]], status: int, code: str, *, named: str | None = None
    ) -> list[Case]:
        """A case for each value that the field must not have; ``named``: the field in the answer, if another."""
        told = field if named is None else named or None
        return [
            self.case(f"{field} is {what}", status, code, told, body=self.but(field, value)) for value, what in values
        ]

    def missing(self, field: str, *, named: str | None = None) -> Case:
        told = field if named is None else named
        return self.case(f"{field} is missing", 400, "missing_field", told, body=self.but(field, ...))

    def strangers(self, *, scope: str, public: bool = False, other: bool = True) -> list[Case]:
        """Who may not: nobody, unknown keys, keys without the scope, keys of another tenant."""
        cases = [
            self.case("no key", 401, "unauthorized", key="none"),
            self.case("an unknown key", 401, "unauthorized", key="unknown"),
            self.case("a text that is no key", 401, "unauthorized", key="nonsense"),
            self.case("a revoked key", 401, "unauthorized", key="revoked"),
            self.case(f"a key without {scope}", 403, "insufficient_scope", key=f"not {scope}"),
        ]
        if not public:
            cases.append(self.case("a public key", 403, "insufficient_scope", key="public"))
        if other:
            cases.append(self.case("a key of another tenant", 404, "not_found", key="other"))
        return cases


def _but(body: Any, path: list[str], value: Any) -> Any:
    changed = dict(body)
    if len(path) > 1:
        changed[path[0]] = _but(body[path[0]], path[1:], value)
    elif value is ...:
        del changed[path[0]]
    else:
        changed[path[0]] = value
    return changed
