"""Grants: parcels of credit with an order in which they burn.

Order, total and deterministic: lower `priority` first, then the earlier expiry (none is last), then promotional before
paid, then the older grant. The order of Stripe's credit grants; OpenMeter's is the same without the third rule. It
keeps what the customer paid for as long as it can.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from margin.money import round_half_even

NEVER_T = 2**63 - 1

PRIORITY = 50
"""Of a grant that names none, in the middle of 0 to 100, as at Stripe."""
PRIORITY_INCLUDED = 10
"""Of the credits a fee includes: they end with the month, and burn before bought ones."""


class Grant(NamedTuple):
    """One grant, and what is left of it. `basis_nusd` is the cash behind `left_milli + held_milli`."""

    id: str
    seq: int
    customer: int
    given_milli: int
    paid_nusd: int
    given_t: int
    expires_t: int
    priority: int
    left_milli: int
    held_milli: int
    basis_nusd: int
    expired_milli: int = 0
    is_ended: bool = False
    """Whether its end is booked. Nothing is ever left of one that ended; what holds keep of it may still burn."""

    @classmethod
    def fresh(
        cls, id_: str, seq: int, customer: int, milli: int, paid_nusd: int, t: int, *, expires_t: int, priority: int
    ) -> Grant:
        """Return a grant as it is given at `t`: all of it left, all that was paid behind it."""
        return cls(id_, seq, customer, milli, paid_nusd, t, expires_t, priority, milli, 0, paid_nusd)

    @classmethod
    def stored(cls, row: Sequence[Any]) -> Grant:
        """Return a grant from its row in the ledger."""
        return cls(*row)._replace(is_ended=bool(row[-1]))

    @property
    def order(self) -> tuple[int, int, bool, int]:
        """The burn order's sort key."""
        return (self.priority, self.expires_t, self.paid_nusd > 0, self.seq)

    @property
    def is_used_up(self) -> bool:
        """Whether nothing of it can burn any more, unless a charge is reversed."""
        return self.left_milli == 0 and self.held_milli == 0

    @property
    def burnt_milli(self) -> int:
        """What was charged from it."""
        return self.given_milli - self.left_milli - self.held_milli - self.expired_milli

    def hold(self, milli: int) -> Grant:
        """Move credits from left to held."""
        assert 0 <= milli <= self.left_milli
        return self._with(self.left_milli - milli, self.held_milli + milli, self.basis_nusd)

    def close(self, milli: int, spent_milli: int) -> tuple[Grant, int]:
        """End a hold: part of it is spent, the rest is left again; return the grant and the cash that part carried.

        The share is taken of what remains, so the parts of a grant add up to what was paid, to the nano.
        """
        assert 0 <= spent_milli <= milli <= self.held_milli
        carried = self._share_nusd(spent_milli)
        left_milli, held_milli = self.left_milli + milli - spent_milli, self.held_milli - milli
        return self._with(left_milli, held_milli, self.basis_nusd - carried), carried

    def expire(self) -> tuple[Grant, int, int]:
        """Drop what is left (not what is held); return the grant, the credits and the cash dropped."""
        dropped = self.left_milli
        carried = self._share_nusd(dropped)
        after = self._replace(
            left_milli=0, basis_nusd=self.basis_nusd - carried, expired_milli=self.expired_milli + dropped,
            is_ended=True,
        )  # fmt: skip
        return after, dropped, carried

    def restore(self, milli: int, nusd: int) -> Grant:
        """Take back a burn: the credits are left again, and the cash stands behind them again."""
        assert 0 <= milli <= self.burnt_milli
        return self._replace(left_milli=self.left_milli + milli, basis_nusd=self.basis_nusd + nusd)

    def _with(self, left_milli: int, held_milli: int, basis_nusd: int) -> Grant:
        # Each exchange does this twice, and `_replace` takes four times as long.
        return Grant._make((*self[:8], left_milli, held_milli, basis_nusd, *self[11:]))

    def _share_nusd(self, milli: int) -> int:
        whole = self.left_milli + self.held_milli
        return 0 if whole == 0 else round_half_even(self.basis_nusd * milli, whole)


_order = attrgetter("order")


def allocate(grants: list[Grant], milli: int, t: int) -> list[tuple[str, int]]:
    """Return (grant, credits) in burn order covering `milli` as far as grants alive at `t` reach."""
    parts, need = [], milli
    for grant in sorted(grants, key=_order) if len(grants) > 1 else grants:
        if need == 0:
            break
        if grant.expires_t <= t or grant.left_milli == 0:
            continue
        take = min(need, grant.left_milli)
        parts.append((grant.id, take))
        need -= take
    return parts
