"""Grants: parcels of credit with an order in which they burn.

Order, total and deterministic: lower `priority` first, then the earlier expiry (none is last), then the older grant.
The same order as Stripe's and OpenMeter's credit grants.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from margin.money import round_half_even

NEVER_T = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Grant:
    """What is left of one grant. `basis_nusd` is the cash behind `left_milli + held_milli`."""

    id: str
    seq: int
    customer: int
    left_milli: int
    held_milli: int
    basis_nusd: int
    expires_t: int
    priority: int

    @property
    def order(self) -> tuple[int, int, int]:
        """The burn order's sort key."""
        return (self.priority, self.expires_t, self.seq)

    def hold(self, milli: int) -> Grant:
        """Move credits from left to held."""
        assert 0 <= milli <= self.left_milli
        return replace(self, left_milli=self.left_milli - milli, held_milli=self.held_milli + milli)

    def release(self, milli: int) -> Grant:
        """Move credits from held back to left."""
        assert 0 <= milli <= self.held_milli
        return replace(self, left_milli=self.left_milli + milli, held_milli=self.held_milli - milli)

    def burn(self, milli: int) -> tuple[Grant, int]:
        """Spend held credits; return the grant after it and the cash they carried.

        The share is taken of what remains, so the parts of a grant add up to what was paid, to the nano.
        """
        assert 0 <= milli <= self.held_milli
        carried = self._share_nusd(milli)
        after = replace(self, held_milli=self.held_milli - milli, basis_nusd=self.basis_nusd - carried)
        return after, carried

    def expire(self) -> tuple[Grant, int, int]:
        """Drop what is left (not what is held); return the grant, the credits and the cash dropped."""
        dropped = self.left_milli
        carried = self._share_nusd(dropped)
        return replace(self, left_milli=0, basis_nusd=self.basis_nusd - carried), dropped, carried

    def _share_nusd(self, milli: int) -> int:
        whole = self.left_milli + self.held_milli
        return 0 if whole == 0 else round_half_even(self.basis_nusd * milli, whole)


def allocate(grants: list[Grant], milli: int, t: int) -> list[tuple[str, int]]:
    """Return (grant, credits) in burn order covering `milli` as far as grants alive at `t` reach."""
    parts, need = [], milli
    for grant in sorted(grants, key=lambda each: each.order):
        if need == 0:
            break
        if grant.expires_t <= t or grant.left_milli == 0:
            continue
        take = min(need, grant.left_milli)
        parts.append((grant.id, take))
        need -= take
    return parts
