"""Which limits a request meets: looked up once per key, customer and feature, and then one read of a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from margin.ledger.spending import member_id
from proxy.limits.guard import Guard
from proxy.limits.shares import Measure, Name, Purse, Share
from proxy.settings import NO_TERMS, Budget, Limits, Terms

BUNDLES_MAX = 16_384
"""Bundles a worker keeps, some 15 MB; beyond it all are looked up again."""
MEMBERS_MAX = 32_768
"""Members that a worker counts at once, each by itself: some 40 MB where all have limits on requests. A customer may
make any number of them up; those that find no room are counted as one."""
REST = "rest"
"""The members of a customer that found no room, as one: what each may use, all of them may."""
OUTPUT_FIRST_TOKENS = 512
"""What an answer is reserved for before any was seen: a page."""
TOLD = ("key", "customer", "member")
"""Whose limits a caller hears of in figures. What all others use together is not for its eyes."""
LEARNT_PART = 8
"""Each answer moves what is reserved by an eighth of the way."""


@dataclass(frozen=True, slots=True)
class Who:
    """Whose request it is: the key and its limits, the customer by number and name, its plan, feature and member."""

    key: str
    terms: Terms | None
    customer: int
    name: str
    plan: str
    feature: str | None
    member: str | None = None


class Bundle:
    """The shares that requests of one key, customer, feature and member take from."""

    __slots__ = ("charges", "cost_downgrades", "costs", "counts_cost", "downgrades", "is_strict", "limits",
                 "output_tokens", "plan", "shares", "terms", "tokens", "told_purses", "told_requests",
                 "told_tokens")  # fmt: skip

    def __init__(self, shares: list[Share], downgrades: list[Share], who: Who, limits: Limits) -> None:
        self.shares, self.downgrades = tuple(shares), tuple(downgrades)
        told = [each for each in shares if each.name.kind in TOLD]
        self.told_requests = tuple(each for each in told if each.name.measure == "requests")
        self.told_tokens = tuple(each for each in told if each.name.measure == "tokens")
        self.tokens = tuple(each for each in shares if each.name.measure == "tokens")
        self.costs = tuple(each for each in shares if each.name.measure == "cost")
        self.cost_downgrades = tuple(each for each in downgrades if each.name.measure == "cost")
        self.charges = any(each.name.measure == "charge" for each in (*shares, *downgrades))
        self.counts_cost = any(each.name.measure == "cost" for each in (*shares, *downgrades))
        own = () if who.terms is None else who.terms.budgets
        self.is_strict = bool(own) or any(each.name.kind != "key" for each in self.costs)
        """Whether a budget that somebody stated binds, and not only the one that every key has."""
        purses = [each for each in (*shares, *downgrades) if isinstance(each, Purse) and each.name.kind in TOLD]
        is_stated = bool(own) or any(each.name.kind != "key" for each in purses)
        self.told_purses = tuple(purses) if is_stated else ()
        """Budgets that answers tell of, where one was stated of this key, customer or member."""
        self.terms, self.plan, self.limits = who.terms, who.plan, limits
        self.output_tokens = OUTPUT_FIRST_TOKENS
        """What answers were long so far, where a request does not say how long its own may be."""

    def learn(self, output_tokens: int) -> None:
        """Take note of how long an answer was."""
        self.output_tokens += (output_tokens - self.output_tokens) // LEARNT_PART

    def is_of(self, plan: str, terms: Terms | None, limits: Limits) -> bool:
        """Tell whether nothing changed since it was looked up."""
        return self.limits is limits and self.terms is terms and self.plan == plan


class Bundles:
    """All bundles of a worker, over its guard."""

    def __init__(self, guard: Guard | None = None) -> None:
        self.guard = Guard.alone() if guard is None else guard
        self._found: dict[tuple[str, int, str | None, str | None], Bundle] = {}
        self._members: dict[int, set[str]] = {}
        """By customer, who is counted by itself, since members that nothing is in use of were forgotten."""
        self._members_count = 0
        self._models: dict[str, tuple[Limits, tuple[Share, ...]]] = {}

    def found(self, key: str, customer: int, feature: str | None, member: str | None = None) -> Bundle | None:
        """Return the limits that such requests meet, if they were looked up; `Bundle.is_of` says if they still do."""
        return self._found.get((key, customer, feature, member))

    def counted(self, customer: int, member: str) -> str:
        """Return what a member is counted as: itself, or `REST` where there are too many to keep apart."""
        known = self._members.setdefault(customer, set())
        if member not in known:
            # No more than there is still room for: one customer's crowd leaves half of the room to others.
            if len(known) >= MEMBERS_MAX - self._members_count:
                return REST
            known.add(member)
            self._members_count += 1
        return member

    def look_up(self, who: Who, limits: Limits) -> Bundle:
        """Look up the limits that a request meets."""
        if len(self._found) >= BUNDLES_MAX:
            self._found.clear()
        found = self._found[who.key, who.customer, who.feature, who.member] = self._bundle(who, limits)
        return found

    def of_model(self, name: str, limits: Limits) -> tuple[Share, ...]:
        """Return the limits that a call of a model meets."""
        found = self._models.get(name)
        if found is None or found[0] is not limits:
            terms = limits.models.get(name)
            shares = () if terms is None else tuple(self._shares("model", name, terms, downgrades=False))
            found = self._models[name] = (limits, shares)
        return found[1]

    def aside(self, kind: str, budget: Budget, limits: Limits) -> tuple[Share, ...]:
        """Return what a call beside an exchange takes from: its kind's budget, and those of all costs together."""
        own = self.guard.share(Name("aside", kind, "cost", budget.name), budget.nusd)
        together = self._shares("all", "", limits.all, downgrades=False)
        return (own, *(each for each in together if each.name.measure == "cost"))

    def _bundle(self, who: Who, limits: Limits) -> Bundle:
        subjects = subjects_of(who, limits)
        shares = [each for kind, id_, terms in subjects for each in self._shares(kind, id_, terms, downgrades=False)]
        downs = [each for kind, id_, terms in subjects for each in self._shares(kind, id_, terms, downgrades=True)]
        return Bundle(shares, downs, who, limits)

    def _shares(self, kind: str, id_: str, terms: Terms, *, downgrades: bool) -> Iterator[Share]:
        for measure, per, limit in _listed(terms, downgrades=downgrades):
            yield self.guard.share(Name(kind, id_, measure, per), limit)

    def drop_idle(self) -> list[tuple[Name, int]]:
        """With too many shares or members, drop those that nothing uses; return what falls by how much."""
        crowded = self._members_count >= MEMBERS_MAX // 4
        if not crowded and not self.guard.is_crowded:
            return []
        dropped = self.guard.give_up_idle()
        self._found.clear()
        self._models.clear()
        if crowded:
            self._forget_members()
        return dropped

    def _forget_members(self) -> None:
        """Keep the members that something is in use of."""
        used = {name.id for name in self.guard.names("member")}
        kept = {
            customer: {each for each in known if member_id(customer, each) in used}
            for customer, known in self._members.items()
        }
        self._members = {customer: known for customer, known in kept.items() if known}
        self._members_count = sum(map(len, self._members.values()))


def subjects_of(who: Who, limits: Limits) -> list[tuple[str, str, Terms]]:
    """Return the subjects of a request, the narrowest first, with their limits.

    What a plan allows each of its customers is the customer's.
    """
    key = limits.key_defaults if who.terms is None else who.terms.or_else(limits.key_defaults)
    found = [("key", who.key, key)]
    customer = limits.plans.get(who.plan, Terms()).tightest(limits.customers.get(who.name, Terms()))
    if who.member is not None:
        found.append(("member", member_id(who.customer, who.member), limits.of_member(who.name, who.plan)))
    found.append(("customer", str(who.customer), customer))
    found.append(("plan", who.plan, limits.together.get(who.plan, NO_TERMS)))
    if who.feature is not None:
        found.append(("feature", who.feature, limits.features[who.feature]))
    found.append(("all", "", limits.all))
    return [each for each in found if not each[2].is_none]


def _listed(terms: Terms, *, downgrades: bool) -> Iterator[tuple[Measure, str, int]]:
    """Yield what of some terms is enforced by shares; what only alerts is not."""
    if not downgrades:
        rates: list[tuple[Measure, str, int | None]] = [
            ("open", "", terms.concurrency),
            ("requests", "minute", terms.rpm), ("requests", "day", terms.rpd),
            ("tokens", "minute", terms.tpm), ("tokens", "day", terms.tpd),
        ]  # fmt: skip
        for measure, per, limit in rates:
            if limit is not None:
                yield measure, per, limit
    for each in terms.budgets:
        if each.action == ("downgrade" if downgrades else "hard"):
            yield each.of, each.name, each.nusd
