"""The only arithmetic on money: integer nano-dollars at rest, `Decimal` rates, one rounding.

A nano-dollar is 1e-9 USD. Micro-dollars are too coarse (one cached token of a cheap model costs
0.005 of one) and pico-dollars overflow 64 bits at 9.2 million dollars; nano-dollars end at 9.2
billion. Rounding is half-even and happens once per posting, so errors do not add up one way.
"""

from decimal import Decimal, InvalidOperation
from typing import Final

NUSD_PER_USD: Final = 1_000_000_000
"""Nano-dollars in a dollar."""

MILLI: Final = 1000
"""Milli-credits in a credit."""

NUSD_MAX: Final = 2**63 - 1
"""Largest amount either way: what a signed 64-bit column holds, and the reversal of it, too."""

_EXPONENT_MAX: Final = 11  # 10**11 USD is beyond NUSD_MAX, so nothing larger need be expanded
_EXPONENT_MIN: Final = -11  # 10**-11 USD is below half a nano-dollar and rounds to zero
_DIGITS_SHOWN: Final = 3  # significant digits of an amount under a dollar


def round_half_even(numerator: int, denominator: int) -> int:
    """Divide two integers exactly and round once; ties go to the even neighbour.

    Args:
        numerator: Any integer, negative ones included.
        denominator: A positive integer.

    Raises:
        ValueError: The denominator is not positive.
    """
    if denominator <= 0:
        raise ValueError(f"the denominator must be positive, not {denominator}")
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def share_milli(milli: int, share: Decimal) -> int:
    """Return a share of an amount of credits, in milli-credits, rounded once.

    Args:
        milli: Milli-credits.
        share: 0..1.
    """
    numerator, denominator = share.as_integer_ratio()
    return round_half_even(milli * numerator, denominator)


def usd_to_nusd(amount: Decimal | int | str) -> int:
    """Turn dollars into nano-dollars, rounding half-even.

    Args:
        amount: US dollars, exact. A float is refused: its digits are not the ones that were typed.

    Raises:
        TypeError: A float, a bool, or anything else that is not exact.
        ValueError: Not a number, or not finite.
        OverflowError: Beyond 64 bits of nano-dollars, about 9.2 billion dollars.
    """
    usd = _exact(amount)
    if not usd.is_finite():
        raise ValueError(f"an amount of money must be finite, not {amount!r}")
    if not usd or usd.adjusted() < _EXPONENT_MIN:
        return 0
    if usd.adjusted() > _EXPONENT_MAX:
        raise OverflowError(f"{amount!r} USD does not fit 64 bits of nano-dollars")
    numerator, denominator = usd.as_integer_ratio()
    return add_checked(round_half_even(numerator * NUSD_PER_USD, denominator))


def _exact(amount: Decimal | int | str) -> Decimal:
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int | str):
        raise TypeError(f"money must be Decimal, int or str, not {type(amount).__name__}")
    try:
        return Decimal(amount)
    except InvalidOperation:
        raise ValueError(f"{amount!r} is not a decimal number") from None


def nusd_to_usd(nusd: int) -> Decimal:
    """Turn nano-dollars into dollars, exactly, whatever the ambient decimal context."""
    return Decimal(f"{nusd}E-9")


def format_usd(nusd: int | None) -> str:
    """Write an amount for people: cents from a dollar up, three significant digits below.

    Only zero is written as zero: one nano-dollar is `$0.000000001`. `None` is `unknown`.

    Args:
        nusd: Nano-dollars, or `None` when the amount is not known.
    """
    if nusd is None:
        return "unknown"
    magnitude = abs(nusd)
    step = _step(magnitude)
    whole, rest = divmod(round_half_even(magnitude, step) * step, NUSD_PER_USD)
    digits = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'−' if nusd < 0 else ''}${whole:,}.{digits}"


def _step(magnitude: int) -> int:
    """Return the smallest amount that is still shown, in nano-dollars."""
    if magnitude >= NUSD_PER_USD:
        return NUSD_PER_USD // 100
    hidden = len(str(magnitude)) - _DIGITS_SHOWN
    return int(10**hidden) if hidden > 0 else 1


def add_checked(*amounts: int) -> int:
    """Sum amounts of one unit.

    Raises:
        OverflowError: The sum does not fit a signed 64-bit column.
    """
    total = sum(amounts)
    if not -NUSD_MAX <= total <= NUSD_MAX:
        raise OverflowError(f"{total} does not fit 64 bits")
    return total
