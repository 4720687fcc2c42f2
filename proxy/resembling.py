"""Answers by meaning, as an exchange sees them: looked for when there is no exact one, and proven on the way.

Only where the configuration says so, and only for requests that exact answers are kept of. Everything but the text of
the last ask must be the same; of that text the guards must find nothing that differs. While it is not proven that few
enough of such answers are wrong the provider is asked, and its answer is held against the one at hand: the caller gets
a fresh one, and nothing is spent for it. See docs/adr/0053.
"""

from __future__ import annotations

import time
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import orjson

from proxy import repeating
from proxy.caching.answers import Resembling
from proxy.caching.semantic.eligible import Asked, taken_apart, why_not
from proxy.settings import Semantic
from proxy.settlement import Case
from proxy.world import World

if TYPE_CHECKING:
    from proxy.caching.semantic.embedders import Embedder
    from proxy.caching.semantic.memory import Memory, Sample
    from proxy.caching.semantic.vectors import Vector

CONTEXT_ROLES: Final = frozenset({"system", "developer"})


async def sought(world: World, case: Case) -> Case:
    """Return an exchange with the answer of one that meant the same, if that is proven to do; else with what it means.

    Raises nothing: who knows nothing asks the provider.
    """
    terms, at = case.settings.caching.semantic, case.place
    if at is None or terms is None or why_not(terms, case.ask, case.route.rule) is not None:
        return case
    asked, began_s = taken_apart(case.ask), time.thread_time()
    assert asked is not None, "it is one text"
    embedder, vector = _embedded(asked.text)
    if vector is None:
        return case
    from proxy.caching.semantic.memory import Meant
    from proxy.caching.semantic.reading import read

    memory = world.meaning()
    partition, of = _places(case, asked, embedder)
    meant = Meant(partition, of, vector, read(asked.text), embedder)
    case = case._replace(meant=meant)
    if at.words.reads:
        case = _found(world, case, memory, terms)
    memory.spent_s += time.thread_time() - began_s
    return case


def _embedded(text: str) -> tuple[Embedder, Vector | None]:
    from proxy.caching.semantic.embedders import LETTERS
    from proxy.caching.semantic.vectors import letters

    return LETTERS, letters(text)


def _places(case: Case, asked: Asked, embedder: Embedder) -> tuple[bytes, bytes]:
    """Return where prompts are looked for, and the class whose samples count.

    The class is coarser: conversations with one set of instructions, tools and format learn together.
    """
    context = [each for each in asked.rest["messages"] if each.get("role") in CONTEXT_ROLES]
    fields = [context, *(asked.rest.get(name) for name in ("tools", "functions", "response_format"))]
    of = orjson.dumps([case.principal.customer, case.route.served_tier, embedder.name, fields])
    partition = repeating.key(case.principal.customer, case.route, [embedder.name, asked.rest], b"meaning")
    return partition, blake2b(of, digest_size=16).digest()


def _found(world: World, case: Case, memory: Memory, terms: Semantic) -> Case:
    """Return an exchange with the nearest prompt's answer, or with the sample that its own answer is."""
    meant = case.meant
    assert meant is not None
    near = memory.nearby.find(meant.partition, case.principal.customer, meant.vector, meant.reading, meant.embedder)
    if near is None:
        memory.counts["none"] += 1
        return case
    kept = world.answers.find(near.entry.key, case.principal.customer, repeating.since_t(world, case))
    found = None if kept is None else repeating.told(case, kept)
    if kept is None or found is None:
        memory.counts["lost"] += 1
        memory.nearby.forget(meant.partition, near.entry.key)
        return case
    from proxy.caching.semantic.memory import Sample
    from proxy.caching.semantic.proof import band_of

    band = band_of(near.score, meant.embedder.floor)
    stand = memory.proof.stand(meant.of, band, terms.error_max)
    if stand.proven and memory.chance() >= terms.verify_share:
        memory.counts["hit"] += 1
        memory.served(case.ticket.x, case.principal.customer, meant.of, band)
        how = Resembling(near.score, stand.samples, stand.errors)
        return case._replace(found=found._replace(resembling=how))
    memory.counts["sampled" if stand.proven else "unproven"] += 1
    sample = Sample(kept.body, kept.exchange, near.score, band)
    return case._replace(meant=meant._replace(sample=sample))


def learn(world: World, case: Case, key: bytes, body: bytes) -> None:
    """Remember a request whose answer is kept, and hold that answer against the one that was at hand."""
    from proxy.caching.semantic.nearby import Entry

    meant, terms = case.meant, case.settings.caching.semantic
    assert meant is not None
    assert terms is not None
    entry = Entry(case.principal.customer, key, meant.vector, meant.reading, world.now())
    memory = world.meaning()
    memory.nearby.add(meant.partition, entry, terms.bytes_max)
    if meant.sample is not None:
        world.soon(partial(_hold_against, memory, meant.of, meant.sample, body))


def _hold_against(memory: Memory, of: bytes, sample: Sample, body: bytes) -> None:
    from proxy.caching.semantic.alike import alike

    is_right = alike(sample.body, body)
    if is_right is None:
        memory.counts["undecided"] += 1
        return
    memory.counts["right" if is_right else "wrong"] += 1
    memory.proof.note(of, sample.band, is_right=is_right)
