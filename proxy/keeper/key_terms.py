"""Reads what a command says that a key is to allow, from JSON, with the field named in every refusal.

Each field may be missing (nothing is said of it) or null (it binds nothing). What comes out is what the key's records
state: plain JSON, moments absolute, networks and lists in one spelling.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any, get_args

from margin.ledger.grants import NEVER_T
from margin.money import usd_to_nusd
from proxy.identity import SCOPES, SURFACES, KeyTerms
from proxy.keeper.office import NS
from proxy.keeper.refusing import Refused
from proxy.routing.policy import model_names
from proxy.settings import RATES, TIERS, Budget, Settings, units
from proxy.settings.limits import BudgetAction, BudgetOf, contradiction

LISTED_MAX = 100
"""Entries of one list: a hundred networks are looked through in some 20 µs."""
OVERLAP_MAX_S = 366 * 86_400
"""Who wants two keys for longer makes two keys."""
COUNT_MAX = 10**12
"""As in the configuration: far above any traffic, and sums stay small integers."""
BUDGETS_MAX = 8
METADATA_MAX, METADATA_NAME_MAX, METADATA_VALUE_MAX = 16, 64, 512
"""Pairs, and characters of a name and of a value: OpenAI's limits for `metadata`."""


def read_scopes(asked: Any) -> list[str]:
    """Read a key's scopes."""
    return _listed("scopes", asked, SCOPES, "scope")


def read_terms(settings: Settings, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the terms that are stated, by the name they have in the key's records."""
    found = {}
    for name, (kept_as, reader) in _FIELDS.items():
        if name in args:
            found[kept_as] = None if args[name] is None else reader(settings, args[name])
    return found


def check_terms(settings: Settings, terms: Mapping[str, Any]) -> None:
    """Refuse terms under which a key could ask for nothing at all, and limits that contradict each other."""
    for minute, day in (("rpm", "rpd"), ("tpm", "tpd")):
        if terms.get(minute) is not None and terms.get(day) is not None and terms[minute] > terms[day]:
            raise Refused(f"`{minute}` is above `{day}`, which lets {terms[day]:,} through in a whole day", minute)
    read = KeyTerms.read(terms)
    if read is not None and model_names(settings) and not model_names(settings, read):
        raise Refused("none of these models is in one of these tiers, so the key could ask for nothing", "tiers")


def read_metadata(asked: Any) -> dict[str, str]:
    """Read what is to be noted about a key: small texts by name."""
    if asked is None:
        return {}
    if not isinstance(asked, dict) or not all(isinstance(each, str) for pair in asked.items() for each in pair):
        raise Refused("`metadata` must be texts by name", "metadata")
    for name, value in asked.items():
        if not 0 < len(name) <= METADATA_NAME_MAX or not name.isprintable():
            raise Refused(f"a name in `metadata` must be 1 to {METADATA_NAME_MAX} printable characters", "metadata")
        if len(value) > METADATA_VALUE_MAX or not value.isprintable():
            raise Refused(
                f"`metadata.{name}` must be up to {METADATA_VALUE_MAX} printable characters", f"metadata.{name}"
            )
    if len(asked) > METADATA_MAX:
        raise Refused(f"`metadata` may have up to {METADATA_MAX} names", "metadata")
    return dict(asked)


def merged_metadata(kept: Mapping[str, str], asked: Any) -> dict[str, str]:
    """Read what is to be noted from now on: null takes a note away, or all of them."""
    if asked is None or not isinstance(asked, dict):
        return read_metadata(asked)
    return read_metadata({name: value for name, value in {**kept, **asked}.items() if value is not None})


def read_moment(name: str, asked: Any) -> int:
    """Read when something ends: after a time such as 30d, or at a moment such as 2026-12-31T23:59:59Z."""
    found = _after(asked)
    if found is None:
        found = _at(asked)
    if found is None:
        raise Refused(
            f"`{name}` must be a time such as 30d, 12h or 90m, or a moment such as 2026-12-31T00:00:00Z", name
        )
    if not time.time_ns() < found < NEVER_T:
        raise Refused(f"`{name}` must be in the future, and before the year 2262", name)
    return found


def read_overlap_ns(asked: Any) -> int:
    """Read how long an old key goes on, such as 1h."""
    try:
        found_s = units.seconds(asked)
    except units.UnitError as error:
        raise Refused(f"`overlap` {error}", "overlap") from None
    if found_s > OVERLAP_MAX_S:
        raise Refused("`overlap` may be up to 366d", "overlap")
    return round(found_s * NS)


def _after(asked: Any) -> int | None:
    try:
        return time.time_ns() + round(units.seconds(asked) * NS)
    except units.UnitError:
        return None


def _at(asked: Any) -> int | None:
    try:
        found = datetime.fromisoformat(asked) if isinstance(asked, str) else None
    except ValueError:
        return None
    # Without a zone it would be one moment here and another there.
    return None if found is None or found.tzinfo is None else round(found.timestamp()) * NS


def _models(settings: Settings, asked: Any) -> list[str]:
    for name in _texts("models", asked):
        if name in settings.aliases and name not in settings.deployments:
            raise Refused(f'"{name}" is an alias; name the model that it stands for', "models")
    return _listed("models", asked, tuple(settings.deployments), "model")


def _tiers(_: Settings, asked: Any) -> list[str]:
    return _listed("tiers", asked, TIERS, "tier")


def _surfaces(_: Settings, asked: Any) -> list[str]:
    return _listed("surfaces", asked, SURFACES, "surface")


def _ips(_: Settings, asked: Any) -> list[str]:
    found = []
    for text in _texts("ips", asked):
        try:
            found.append(units.network_text(text))
        except units.UnitError as error:
            raise Refused(f'"{text}" in `ips` {error}', "ips") from None
    return list(dict.fromkeys(found))


def _expires(_: Settings, asked: Any) -> int:
    return read_moment("expires", asked)


def _paused(_: Settings, asked: Any) -> bool:
    if asked is not True:
        raise Refused("`paused` is true, or null to resume the key", "paused")
    return True


def _count(name: str) -> Callable[[Settings, Any], int]:
    def read(_: Settings, asked: Any) -> int:
        if isinstance(asked, bool) or not isinstance(asked, int) or not 0 < asked <= COUNT_MAX:
            raise Refused(f"`{name}` must be a whole number from 1 to {COUNT_MAX:,}", name)
        return asked

    return read


def _budgets(_: Settings, asked: Any) -> list[list[Any]]:
    """Read budgets: each a text such as 5/day, or an object of `limit`, `of` and `action`."""
    rows = asked if isinstance(asked, list) else [asked]
    if not 0 < len(rows) <= BUDGETS_MAX:
        raise Refused(f"`budget` may state 1 to {BUDGETS_MAX}", "budget")
    found = tuple(_budget(row) for row in rows)
    wrong = contradiction(found)
    if wrong is not None:
        raise Refused(f"`budget` {wrong}", "budget")
    return [[each.nusd, each.per, each.of, each.action] for each in found]


def _budget(asked: Any) -> Budget:
    row = {"limit": asked} if isinstance(asked, str) else asked
    if not isinstance(row, dict) or not set(row) <= {"limit", "of", "action"}:
        raise Refused("`budget` must be US dollars per period, such as 5/day, or limit, of and action", "budget")
    of, action = row.get("of", "cost"), row.get("action", "hard")
    if of not in get_args(BudgetOf) or action not in get_args(BudgetAction):
        raise Refused("a budget is of cost or charge, and hard, soft or downgrade", "budget")
    try:
        amount, per = units.budget(row.get("limit"))
    except units.UnitError as error:
        raise Refused(f"`budget` {error}", "budget") from None
    return Budget(usd_to_nusd(amount), per, of, action)


def _listed(field: str, asked: Any, known: tuple[str, ...], noun: str) -> list[str]:
    """Return the known words that were asked for, each once, in the order in which they are known."""
    words = _texts(field, asked)
    for word in words:
        if word not in known:
            near = get_close_matches(word, known, 1)
            meant = f'; did you mean "{near[0]}"?' if near else f"; {noun}s are: {', '.join(known)}"
            raise Refused(f'"{word}" is no {noun}{meant}', field)
    return [word for word in known if word in words]


def _texts(field: str, asked: Any) -> list[str]:
    if not isinstance(asked, list) or not all(isinstance(each, str) for each in asked):
        raise Refused(f"`{field}` must be a list of texts", field)
    if not asked:
        raise Refused(f"`{field}` must name at least one; leave it out to bind nothing", field)
    if len(asked) > LISTED_MAX:
        raise Refused(f"`{field}` may name up to {LISTED_MAX}", field)
    return asked


_FIELDS: dict[str, tuple[str, Callable[[Settings, Any], Any]]] = {
    "expires": ("expires_t", _expires),
    "models": ("models", _models),
    "tiers": ("tiers", _tiers),
    "surfaces": ("surfaces", _surfaces),
    "ips": ("ips", _ips),
    **{name: (name, _count(name)) for name in RATES},
    "budget": ("budgets", _budgets),
    "paused": ("paused", _paused),
}
"""What may be asked for: its name in the key's records, and how it is read."""

TERMS = tuple(_FIELDS)
