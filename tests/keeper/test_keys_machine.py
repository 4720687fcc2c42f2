"""Any history of keys: what workers heard piece by piece, what a new one is told, and what a rebuild makes agree.

The oracle is a dictionary of what was asked for; time stands where the machine puts it.
"""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxy.identity import Identity
from proxy.keeper.commands import perform
from proxy.keeper.office import Office
from proxy.wire.errors import Forbidden, Unauthenticated
from tests.keeper.offices import office, sound

NS = 10**9
SURFACES = ("chat", "models", "usage", "admin")
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "surfaces": st.none() | st.lists(st.sampled_from(SURFACES), min_size=1, max_size=2),
        "tiers": st.none() | st.lists(st.sampled_from(("simple", "medium", "complex")), min_size=1, max_size=2),
        "expires": st.none() | st.sampled_from(("10s", "100s", "1000s")),
        "metadata": st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=2),
    },
)
SECONDS = {"10s": 10, "100s": 100, "1000s": 1000, "0s": 0, "50s": 50}


class Keys(RuleBasedStateMachine):
    """Keys made, changed, rotated, revoked and imported, while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.t = time.time_ns()
        self.clock = mock.patch("time.time_ns", side_effect=self.now)
        self.clock.start()
        self.office: Office = office(self.folder / "data")
        self.worker = Identity()
        self.expected: dict[str, dict[str, Any]] = {}
        """By key: its id, whether it is revoked, the moment it ends, its surfaces, its tiers."""

    def now(self) -> int:
        """Return the moment that the machine is at."""
        return self.t

    def teardown(self) -> None:
        assert sound(self.office) == []
        self.office.close()
        self.clock.stop()
        shutil.rmtree(self.folder)

    def ask(self, command: str, **args: Any) -> Any:
        """Perform a command; tell the worker what it is told."""
        answer = perform(self.office, command, args, by="uid 1")
        tell(self.worker, self.office.take_changes())
        return answer.get("result")

    def live(self, data: st.DataObject) -> dict[str, Any] | None:
        """Draw a key that is not revoked."""
        found = [each for each in self.expected.values() if not each["revoked"]]
        return data.draw(st.sampled_from(found)) if found else None

    def stated(self, row: dict[str, Any], fields: dict[str, Any]) -> None:
        """Note what was asked of a key."""
        row.update({name: fields[name] for name in ("surfaces", "tiers") if name in fields})
        if "expires" in fields:
            row["ends"] = None if fields["expires"] is None else self.t + SECONDS[fields["expires"]] * NS

    def fresh(self, id_: str) -> dict[str, Any]:
        """What is expected of a key that is bound by nothing."""
        return {"id": id_, "revoked": False, "ends": None, "surfaces": None, "tiers": None}

    @rule(fields=FIELDS)
    def create(self, fields: dict[str, Any]) -> None:
        made = self.ask("keys.create", customer="acme", scopes=["serve", "admin"], **fields)
        self.expected[made["key"]] = self.fresh(made["id"])
        self.stated(self.expected[made["key"]], fields)

    @rule(data=st.data(), fields=FIELDS)
    def change(self, data: st.DataObject, fields: dict[str, Any]) -> None:
        row = self.live(data)
        if row is not None:
            assert self.ask("keys.change", id=row["id"], **fields) is not None
            self.stated(row, fields)

    @rule(data=st.data(), overlap=st.sampled_from(("0s", "50s")))
    def rotate(self, data: st.DataObject, overlap: str) -> None:
        row = self.live(data)
        if row is None:
            return
        made = self.ask("keys.rotate", id=row["id"], overlap=overlap, expires=None)
        has_ended = row["ends"] is not None and row["ends"] <= self.t
        assert (made is None) == has_ended
        if made is not None:
            self.expected[made["key"]] = {**row, "id": made["id"]}
            ends = self.t + SECONDS[overlap] * NS
            row["ends"] = ends if row["ends"] is None else min(ends, row["ends"])

    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        row = self.live(data)
        if row is not None:
            self.ask("keys.revoke", id=row["id"])
            row["revoked"] = True

    @rule(seconds=st.sampled_from((1, 40, 200)))
    def wait(self, seconds: int) -> None:
        self.t += seconds * NS

    @rule()
    def restart(self) -> None:
        self.office.close()
        self.office = office(self.folder / "data")
        self.worker = Identity()
        tell(self.worker, self.office.everything())
        self.office.take_changes()

    @invariant()
    def all_agree(self) -> None:
        """The worker that heard of each change, and one that begins now, let in whom they should."""
        new = Identity()
        tell(new, self.office.everything())
        for secret, row in self.expected.items():
            for surface in SURFACES:
                wanted = expected_of(row, surface, self.t)
                assert let_in(self.worker, secret, surface) == let_in(new, secret, surface) == wanted
            is_live = not row["revoked"] and (row["ends"] is None or self.t < row["ends"])
            assert self.worker.is_live(row["id"], self.t) == new.is_live(row["id"], self.t) == is_live


def tell(worker: Identity, changes: list[dict[str, Any]]) -> None:
    """Tell a worker's tables of changes, as its link does."""
    for each in changes:
        if "name" in each:
            worker.put_customer(each["customer"], each["name"], each["plan"])
        elif "digest" in each:
            worker.put_key(each["key"], each["digest"], each["customer"], each["scopes"], each["terms"])
        elif "revoked" in each:
            worker.drop_key(each["revoked"])


def let_in(worker: Identity, secret: str, surface: Any) -> Any:
    """Return the tiers a key may be served from, or how it is refused."""
    try:
        found = worker.authenticate({b"authorization": f"Bearer {secret}".encode()}, surface)
    except (Unauthenticated, Forbidden) as error:
        return error.status
    return None if found.terms is None else found.terms.tiers


def expected_of(row: dict[str, Any], surface: str, t: int) -> Any:
    """Return what `let_in` should."""
    if row["revoked"] or (row["ends"] is not None and row["ends"] <= t):
        return 401
    if row["surfaces"] is not None and surface not in row["surfaces"]:
        return 403
    return None if row["tiers"] is None else frozenset(row["tiers"])


TestKeys = Keys.TestCase
TestKeys.settings = settings(max_examples=8, stateful_step_count=15, deadline=None)
