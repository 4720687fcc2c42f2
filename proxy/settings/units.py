"""Durations, sizes and numbers as people write them in YAML, exactly.

Each reader takes what YAML gives (`int`, `Decimal`, `bool`, text, nothing) and raises `UnitError`
with the sentence that the operator sees; each writer gives back what a reader accepts.
"""

import re
from decimal import Decimal
from ipaddress import ip_address, ip_network
from typing import Any, Final

SECONDS: Final = {
    "d": Decimal(86_400),
    "h": Decimal(3_600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("0.001"),
}
BYTES: Final = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}

_WHOLE: Final = re.compile(r"[-+]?(0|[1-9][0-9_]{0,23})")  # 24 digits stay within Decimal's 28
_DECIMAL: Final = re.compile(r"[-+]?[0-9]{0,12}\.[0-9]{0,12}")
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?(ms|s|m|h|d)")
_SIZE: Final = re.compile(r"([0-9]{1,15}) ?(B|KiB|MiB|GiB)")
_BUDGET: Final = re.compile(r"\$?([0-9]{1,9}(?:\.[0-9]{1,9})?)/(hour|day|week|month|[1-9][0-9]{0,2}[hd])")
ROLLING_HOURS_MAX: Final = 31 * 24


class UnitError(ValueError):
    """A value that is not written as its unit asks; the text says how it is written."""


def exact(text: str) -> int | Decimal | str:
    """Return a number exactly as it was written; what is no plain decimal number stays text.

    YAML 1.1 would also read `0x10`, `1:30`, `010`, `1e3` and `.inf` as numbers; nobody means them.
    """
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text) and any(char.isdigit() for char in text):
        return Decimal(text)
    return text


def whole(value: Any) -> int:
    """Read a whole number; text of one is taken too, as the environment only has text."""
    found = exact(value) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, int):
        raise UnitError("must be a whole number, such as 8")
    return found


def number(value: Any) -> Decimal:
    """Read an exact number; text of one is taken too."""
    found = exact(value) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, int | Decimal):
        raise UnitError("must be a plain decimal number, such as 0.05")
    return Decimal(found)


def flag(value: Any) -> bool:
    """Read true or false; the text of either is taken too."""
    found = {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise UnitError("must be true or false")
    return found


def seconds(value: Any) -> float:
    """Read a duration such as `250ms`, `30s`, `30m`, `1h` or `30d` as seconds."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise UnitError("must be a duration with its unit, such as 250ms, 30s, 30m, 1h or 30d")
    return float(Decimal(found[1]) * SECONDS[found[2]])


def size_bytes(value: Any) -> int:
    """Read a size such as `256MiB` as bytes; a whole number is bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise UnitError("must be a size with its unit: B, KiB, MiB or GiB, such as 256MiB")
    return int(found[1]) * BYTES[found[2]]


def budget(value: Any) -> tuple[Decimal, str]:
    """Read a budget such as `5/day` or `20/7d` as its dollars and its period; days of a rolling one become hours."""
    if isinstance(value, tuple):
        return value
    found = _BUDGET.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise UnitError(
            "must be US dollars per hour, day, week, month or rolling hours or days, such as 5/day or 20/7d"
        )
    amount, per = Decimal(found[1]), found[2]
    if per[0].isdigit():
        hours = int(per[:-1]) * (24 if per.endswith("d") else 1)
        if hours > ROLLING_HOURS_MAX:
            raise UnitError("may roll over at most 31 days, such as 20/31d")
        per = f"{hours}h"
    if amount == 0:
        raise UnitError("must be more than 0: nothing at all would go through")
    return amount, per


def network_text(value: Any) -> str:
    """Read a network such as `10.0.0.0/8`, or one address, as the shortest text of it."""
    if not isinstance(value, str):
        raise UnitError("must be a network, such as 10.0.0.0/8 or 2001:db8::/32, or an address")
    try:
        return str(ip_network(value.strip()))
    except ValueError:
        address, _, length = value.strip().partition("/")
    try:
        ip_address(address)
        meant = ip_network(f"{address}/{length}", strict=False)
    except ValueError:
        raise UnitError("must be a network, such as 10.0.0.0/8 or 2001:db8::/32, or an address") from None
    raise UnitError(f"names an address within a network; the network is {meant}")


def duration_text(duration_s: float) -> str:
    """Write a duration in the largest unit that leaves a whole number."""
    exact = Decimal(str(duration_s))
    unit = next((unit for unit, unit_s in SECONDS.items() if exact and exact % unit_s == 0), "s")
    return f"{plain(exact / SECONDS[unit])}{unit}"


def size_text(bytes_count: int) -> str:
    """Write a size in the largest unit that leaves a whole number."""
    unit = next((unit for unit, bytes_each in BYTES.items() if bytes_count % bytes_each == 0), "B")
    return f"{bytes_count // BYTES[unit]}{unit}"


def budget_text(value: tuple[Decimal, str]) -> str:
    """Write a budget as `budget` reads it."""
    amount, per = value
    hours = int(per[:-1]) if per[0].isdigit() else 1
    days = f"{hours // 24}d" if hours % 24 == 0 else per
    return f"{plain(amount)}/{days if per[0].isdigit() else per}"


def plain(value: Decimal) -> str:
    """Write equal numbers equally: 0.2 and 0.20 are the same price."""
    return f"{value.normalize():f}"
