"""The memory: bounded, and each customer's own."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from margin.usage import Usage
from proxy.caching.answers import OVERHEAD_BYTES, Answers, Kept, Known

USED = Usage(input=1, output=1)
ROOM = 64 * 1024
NS = 1_000_000_000


def kept(customer: int = 1, body: bytes = b"{}", t: int = 0) -> Kept:
    """Return an answer."""
    return Kept(customer, body, USED, "d1", "ex_1", t)


def test_an_answer_is_found_until_it_is_too_old() -> None:
    """To the nanosecond."""
    answers = Answers()
    answers.keep(b"k", kept(t=5), ROOM)

    assert answers.find(b"k", 1, 5) == kept(t=5)
    assert answers.find(b"k", 1, 6) is None


def test_the_one_used_longest_ago_goes_first() -> None:
    """To have been found is to have been used."""
    answers, room = Answers(), 8 * (OVERHEAD_BYTES + 2)
    for key in (b"%d" % n for n in range(8)):
        answers.keep(key, kept(), room)
    answers.find(b"0", 1, 0)

    answers.keep(b"new", kept(), room)

    assert answers.find(b"0", 1, 0) is not None
    assert answers.find(b"1", 1, 0) is None


def test_an_answer_that_would_push_out_many_is_not_kept() -> None:
    """An eighth of the room is the most."""
    answers = Answers()

    assert not answers.keep(b"k", kept(body=b"x" * (ROOM // 8)), ROOM)
    assert answers.used_bytes == 0


def test_a_request_is_known_only_under_what_it_was_understood_under() -> None:
    """Another configuration, plan or key's terms: it is read and routed again."""
    answers, settings_, plan, terms = Answers(), object(), object(), None
    answers.learn(b"s", Known(1, b"k", (settings_, plan, terms), ("ask",)), 100, ROOM)

    assert answers.known(b"s", 1, (settings_, plan, terms)) is not None
    assert answers.known(b"s", 1, (object(), plan, terms)) is None
    assert answers.known(b"s", 1, (settings_, object(), terms)) is None
    assert answers.known(b"s", 1, (settings_, plan, object())) is None
    assert answers.known(b"s", 2, (settings_, plan, terms)) is None


class Memory(RuleBasedStateMachine):
    """Customers keep and find under keys that, by a bug elsewhere, might be equal."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = Answers()
        self.said: set[tuple[int, bytes]] = set()
        self.under = (object(), object(), None)

    @rule(customer=st.integers(1, 3), key=st.sampled_from([b"a", b"b", b"c", b"d"]), size=st.integers(0, 9_000))
    def keep(self, customer: int, key: bytes, size: int) -> None:
        """Each body says whose it is."""
        body = b"%d" % customer * size
        self.said.add((customer, body))
        self.answers.keep(key, kept(customer, body), ROOM)

    @rule(customer=st.integers(1, 3), key=st.sampled_from([b"a", b"b", b"c", b"d"]))
    def find(self, customer: int, key: bytes) -> None:
        """What is found was written for this customer."""
        found = self.answers.find(key, customer, 0)
        assert found is None or (customer, found.body) in self.said

    @rule(customer=st.integers(1, 3), sight=st.sampled_from([b"a", b"b"]), size=st.integers(0, 3_000))
    def learn(self, customer: int, sight: bytes, size: int) -> None:
        """Requests take room, too."""
        self.answers.learn(sight, Known(customer, b"k", self.under, (customer,)), size, ROOM)

    @rule(customer=st.integers(1, 3), sight=st.sampled_from([b"a", b"b"]))
    def known(self, customer: int, sight: bytes) -> None:
        """What is known was learnt of this customer."""
        found = self.answers.known(sight, customer, self.under)
        assert found is None or found.understood == (customer,)

    @invariant()
    def stays_within_its_room(self) -> None:
        """By its own count, which is not below what the bodies weigh."""
        assert 0 <= self.answers.used_bytes <= ROOM


TestMemory = Memory.TestCase
TestMemory.settings = settings(max_examples=60, stateful_step_count=40)
