"""Forgets persons: finds what is theirs alone, takes their identities out of every table, and proves it.

1. A round begins with the person's identities (``erasure_values``) and a salt, which are kept until it is done: a round
   that died goes on with the same, and every step of it may be repeated.
2. Mode anonymize: identities give way to stand-ins made with the salt, the same everywhere, so sessions, touches and
   credits hold together and every total stays. With the salt gone, nobody can say whose they were.
3. Mode remove: the rows are deleted, their positions kept (the ledger balances), and a sweep takes the bookings back.
4. The proof counts the rows that hold an identity in each table, before and after. After is 0, or it is no proof.
5. What a stage stored without knowing of the request is found by a later round.

One at a time, by the booker, between two runs. Blocking.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from clickhouse.connection import Connection
from clickhouse.statements import bookings_file
from control.contacts import Contacts
from control.identities import Identities
from processors.booker import erased_tables as statements
from processors.booker.erased_tables import FACTS
from processors.runtime.failpoint import FailPoint, Seam, unharmed
from schemas.control import CHECK, ForgetMode, Forgotten
from schemas.errors import Invariant

HOPS: Final = 10
"""Device to session to device: so often what was found may lead to more."""
HASHES_MAX: Final = 20_000
"""A control record holds so many; users, contacts and devices come first."""
ORDER: Final = ("user", "contact", "anonymous", "conversion", "click", "session", "fingerprint")


class Round(msgspec.Struct, frozen=True):
    """The newest round of a request; the row of ``erasure_rounds``."""

    request_id: str
    number: int
    state: str
    salt: str
    before: Mapping[str, int]
    identities: Mapping[str, int]
    started_ms: int

    @property
    def done(self) -> bool:
        return self.state == "done"


class Erasure:
    """The steps of a round. Methods raise :class:`schemas.errors.Unavailable` and :class:`Invariant`."""

    def __init__(
        self,
        connection: Connection,
        identities: Identities,
        contacts: Contacts,
        *,
        failpoint: FailPoint = unharmed,
    ) -> None:
        self._connection = connection
        self._identities = identities
        self._contacts = contacts
        self._failpoint = failpoint

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def rounds(self) -> dict[str, Round]:
        """The newest round of each request that has one."""
        rows = self._connection.query("erasure_rounds")
        return {row[0]: Round(*row) for row in rows}

    def begin(self, request: Forgotten, last: Round | None) -> Round | None:
        """Find the person's identities and begin a round with them; the round that is in work, if one is.

        None if everything is done and nothing of the person has come in since.
        """
        if self._identities.digest(request.project_id, CHECK, request.id) != request.check:
            raise Invariant("a request to forget was hashed under another secret: HEADWATER_SECRET_FILE differs")
        if last is not None and not last.done:
            return last
        self._run(statements.FORGET_VALUES, request)  # of a round that died before it began, or was just proven
        self._run(statements.FORGET_SALT, request)
        self._find(request)
        before = self._count(request)
        if last is not None and not any(before.get(table, 0) for table in FACTS):
            self._run(statements.FORGET_VALUES, request)
            return None
        begun = Round(
            request_id=request.id,
            number=1 if last is None else last.number + 1,
            state="started",
            salt=secrets.token_hex(32),
            before=before,
            identities=self._kinds(request),
            started_ms=time.time_ns() // 1_000_000,
        )
        self._write(request, begun, after={}, done_ms=None)
        return begun

    def hashes(self, request: Forgotten) -> tuple[str, ...]:
        """Keyed hashes of all that was found, those that matter most first; what stages know the person by."""
        found = [(kind, value) for kind, value in self._values(request) if kind in ORDER]
        found.sort(key=lambda one: (ORDER.index(one[0]), one[1]))
        digests = [self._identities.digest(request.project_id, kind, value) for kind, value in found[:HASHES_MAX]]
        return tuple(dict.fromkeys((*request.given, *digests)))

    def erase(self, request: Forgotten, begun: Round, sweep: Callable[[], object]) -> None:
        """Take the person out of every table, and write the proof. ``sweep`` books what that changes."""
        found = statements.tables(self._connection)
        facts = [table for table in found if table.name in FACTS]
        others = [table for table in found if table.name not in FACTS]
        whole = request.mode is ForgetMode.REMOVE
        for statement in (statements.SHARED_SESSIONS, *statements.POSITIONS) if whole else ():
            self._run(statement, request)
        if not whole:
            for table in facts:
                self._run(statements.rewriting(table), request, begun)
        self._failpoint(Seam.AFTER_REWRITE)
        for table in (*others, *facts):
            for statement in statements.removing(table, whole=whole):
                self._run(statement, request, begun)
        self._failpoint(Seam.AFTER_ERASE)
        after = self._count(request)
        if any(after.values()):
            left = ", ".join(sorted(table for table, count in after.items() if count))
            raise Invariant(f"rows of a forgotten person are still in {left}")
        for table in facts:
            self._run(statements.returning(table), request)
        if whole:
            sweep()
        done = msgspec.structs.replace(begun, state="done", salt="")
        self._write(request, done, after=after, done_ms=time.time_ns() // 1_000_000)
        self._run(statements.FORGET_VALUES, request)
        self._run(statements.FORGET_SALT, request)

    def _find(self, request: Forgotten) -> None:
        hashes = [
            {"request_id": request.id, "kind": "hash", "value": value}
            for value in dict.fromkeys((*request.given, *request.identities))
        ]
        self._connection.append("erasure_values", hashes)
        inner, outer = self._identities.pads(request.project_id)
        self._run(bookings_file("forget_named"), request, inner=inner, outer=outer)
        if not request.resolved:
            for name in ("forget_users", "forget_contacts"):
                self._run(bookings_file(name), request)
            known = -1
            for _ in range(HOPS):
                if known == (known := len(self._values(request))):
                    break
                self._run(bookings_file("forget_weak"), request)
        sealed = self._connection.select(statements.SEALED, self._parameters(request))
        addresses = {self._contacts.unseal(request.project_id, row[0]) for row in sealed} - {None}
        self._connection.append(
            "erasure_values",
            [{"request_id": request.id, "kind": "email", "value": address} for address in addresses],
        )
        self._run(bookings_file("forget_visitors"), request)

    def _values(self, request: Forgotten) -> Sequence[tuple[str, str]]:
        return [
            (kind, value)
            for kind, value in self._connection.query("erasure_values", request_id=request.id)
            if kind != "hash"
        ]

    def _kinds(self, request: Forgotten) -> dict[str, int]:
        kinds = [kind for kind, _ in self._values(request)]
        return {kind: kinds.count(kind) for kind in ORDER if kind in kinds}

    def _count(self, request: Forgotten) -> dict[str, int]:
        found = {}
        for table in statements.tables(self._connection):
            if not table.held or table.scratch:  # scratch is emptied whoever it is of
                continue
            ((count,),) = self._connection.select(statements.counting(table), self._parameters(request))
            found[table.name] = int(count)
        return found

    def _run(self, statement: str, request: Forgotten, begun: Round | None = None, **more: Any) -> None:
        salt = {"salt": begun.salt} if begun is not None else {}
        self._connection.execute(statement, self._parameters(request) | salt | more)

    def _parameters(self, request: Forgotten) -> dict[str, Any]:
        return {"request_id": request.id, "project_id": request.project_id, "before_ms": request.requested_at}

    def _write(self, request: Forgotten, round: Round, *, after: Mapping[str, int], done_ms: int | None) -> None:
        self._connection.append(
            "erasures",
            [
                {
                    "request_id": request.id,
                    "project_id": request.project_id,
                    "round": round.number,
                    "state": round.state,
                    "mode": request.mode.value,
                    "salt": round.salt,
                    "identities": dict(round.identities),
                    "rows_before": dict(round.before),
                    "rows_after": dict(after),
                    "request_hash": request_hash(request),
                    "started_at": round.started_ms,
                    "done_at": done_ms,
                    "version": 2 if round.done else 1,
                }
            ],
        )


def request_hash(request: Forgotten) -> str:
    """SHA-256 of the request as it was made: what ties the proof to the control log."""
    made = msgspec.structs.replace(request, identities=())
    return hashlib.sha256(msgspec.json.encode(made)).hexdigest()
