"""Streams whose key ends meanwhile: cut with an error event, settled once, paid as by one who leaves."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from proxy import identity
from tests.proxy.scene import CUSTOMER, Scene, check_books, scene
from tests.proxy.test_exchange_streams import SIMPLE, play

LONG = "hi [[sim: tokens=400 slow=0.01]]"
AT = 5
"""The event at which the key ends."""


def keyed(here: Scene, **terms: int) -> str:
    """Give the scene's principal a key of its tables; return its id."""
    id_, _, digest = identity.new_key()
    here.world.identity.put_key(id_, digest, CUSTOMER, ["serve"], terms)
    here.principal = replace(here.principal, key=id_)
    return id_


def ended_at(folder: Path, how: str, **stage: str) -> Scene:
    """Stream; at some event the key ends, and the worker looks."""

    async def act(here: Scene) -> None:
        id_ = keyed(here)

        def end() -> None:
            if how == "revoked":
                here.world.identity.drop_key(id_)
            else:
                here.world.identity.put_key(id_, "00" * 32, CUSTOMER, ["serve"], {"expires_t": here.world.now()})
            here.world.dismiss_ended()

        here.caller.at[AT] = end
        await here.stream(LONG)

    return play(folder, act, **stage)


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_a_stream_whose_key_ends_is_cut(tmp_path: Path, how: str) -> None:
    """The caller gets an error event and no `[DONE]`; what the provider still would have said is not read."""
    found = ended_at(tmp_path, how)

    assert found.caller.error is not None
    assert found.caller.error["code"] == "invalid_api_key"
    assert not found.caller.is_done
    assert AT < found.caller.sends < 100
    assert (found.end()["o"], found.end()["cr"]) == ("client_gone", SIMPLE)


def test_a_metered_stream_pays_for_what_was_relayed(tmp_path: Path) -> None:
    """By our estimate of it, as the provider's count did not come: a trifle of what was put aside."""
    found = ended_at(tmp_path, "revoked", plan="metered")

    (held,) = [record for record in found.records() if record["k"] == "held"]
    (line,) = found.end()["a"]
    assert line["kind"] == "estimated"
    assert 0 < found.end()["cr"] == line["u"]["input"] + 4 * line["u"]["output"] < held["cr"]


def test_streams_of_live_keys_go_on(tmp_path: Path) -> None:
    """The worker looks, and finds nothing to end."""

    async def act(here: Scene) -> None:
        keyed(here, expires_t=here.world.now() + 10**12)
        here.caller.at[AT] = here.world.dismiss_ended
        await here.stream("hi [[sim: tokens=20]]")

    found = play(tmp_path, act)

    assert found.caller.is_done
    assert found.end()["o"] == "ok"


def test_a_key_that_ends_after_its_caller_left_changes_nothing(tmp_path: Path) -> None:
    """The answer is read on within the drain's budget, and charged, as it would have been."""

    async def act(here: Scene) -> None:
        id_ = keyed(here)
        reply = await here.ask("hi [[sim: tokens=40]]", stream=True)
        relay = reply.relay
        assert relay is not None

        def leave() -> None:
            relay.left()
            here.world.identity.drop_key(id_)
            here.world.dismiss_ended()

        here.caller.at[AT] = leave
        await relay.run(here.caller)

    found = play(tmp_path, act)

    assert (found.end()["o"], found.end()["a"][0]["kind"]) == ("client_gone", "model")


def test_a_stream_dismissed_while_its_caller_does_not_read(tmp_path: Path) -> None:
    """Its books are closed all the same, at once."""

    async def main() -> Scene:
        async with scene(tmp_path) as here:
            id_ = keyed(here)
            reading = asyncio.Event()
            plain_send = here.caller.send

            async def send(data: bytes) -> None:
                if here.caller.sends == AT:
                    asyncio.get_running_loop().call_soon(here.world.identity.drop_key, id_)
                    asyncio.get_running_loop().call_soon(here.world.dismiss_ended)
                    await reading.wait()
                await plain_send(data)

            def settled() -> bool:
                return "settled" in here.kinds()

            here.caller.send = send  # type: ignore[method-assign]
            streaming = asyncio.ensure_future(here.stream(LONG))
            async with asyncio.timeout(5):
                while not settled():
                    await asyncio.sleep(0)
            reading.set()
            await streaming
            return here

    found = asyncio.run(main())

    check_books(found.records())
    assert found.end()["o"] == "client_gone"
