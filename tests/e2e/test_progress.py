"""How far a long proof is: whoever asks hears it, with a server and without one; whoever does not gets the verdict."""

from proxy.keeper import control
from tests.e2e.conftest import Launch

PARTS = {"checking the invariants", "computing the amounts again", "reading the journals"}


def test_a_proof_says_how_far_it_is(launch: Launch):
    """The same words from the server's auditing process and from the command's own."""
    server = launch()
    server.chat("Say hello")

    def verified() -> set[str]:
        heard: list[str] = []
        answer = control.ask(
            server.settings, "ledger.verify", {"progress": True}, lambda what, _count: heard.append(what)
        )
        assert answer["result"]["ok"], answer
        return set(heard)

    beside = verified()
    plain = server.ask("ledger.verify")
    server.stop()
    alone = verified()

    assert beside >= PARTS
    assert plain["ok"]
    assert alone >= PARTS
