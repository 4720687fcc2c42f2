"""TLS: names are verified, authorities are required, and a stalled handshake ends in time."""

import asyncio
import os
import shutil
import ssl
import subprocess

import httpx
import pytest

from tests.upstream.scripted import Peer, calling, fetch, on_both_loops, serving


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A folder with an authority's certificate, and a server's for `localhost` and no other name."""
    if shutil.which("openssl") is None:
        give_up = pytest.fail if os.environ.get("PENSTOCK_NO_SKIP") == "1" else pytest.skip
        give_up("certificates for the TLS tests are made with the openssl command, which is absent")
    folder = tmp_path_factory.mktemp("authority")
    (folder / "names").write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    new_key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    for command in (
        f"req -x509 {new_key} -keyout ca.key -out ca.pem -days 2 -subj /CN=ours -addext keyUsage=critical,keyCertSign",
        f"req {new_key} -keyout server.key -out server.csr -subj /CN=server",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def server_tls(authority):
    """What the server speaks: HTTP/2 too, which a client of ours must not agree to."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority / "server.pem", authority / "server.key")
    tls.set_alpn_protocols(["h2", "http/1.1"])
    return tls


@pytest.fixture
def trusting(authority):
    """A client's context that trusts the authority."""
    tls = ssl.create_default_context(cafile=authority / "ca.pem")
    tls.set_alpn_protocols(["http/1.1"])
    return tls


@on_both_loops
def test_calls_over_tls_name_the_host_and_share_a_connection(run, server_tls, trusting):
    """The handshake carries the host's name and HTTP/1.1 alone, and is done once for two calls."""
    asked_for, agreed = [], []
    server_tls.sni_callback = lambda _socket, name, _context: asked_for.append(name)

    async def script(peer: Peer) -> None:
        agreed.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await peer.answer_all()

    async def main() -> None:
        async with serving(script, server_tls) as url, calling(tls=trusting) as transport:
            named = url.replace("127.0.0.1", "localhost")
            answers = [await fetch(transport, named, "POST", content=b"x") for _ in range(2)]

            assert answers == [(200, b"ok")] * 2
            assert (transport.connections_opened, transport.connections_reused) == (1, 1)

    run(main())

    assert (asked_for, agreed) == (["localhost"], ["http/1.1"])


@on_both_loops
@pytest.mark.parametrize(("host", "trusts"), [("127.0.0.1", True), ("localhost", False)], ids=["name", "authority"])
def test_a_certificate_not_good_for_the_host_is_a_connect_error(run, server_tls, trusting, host, trusts):
    """A name the certificate does not bear, or an authority nobody trusts, stops the call."""
    requests = []

    async def script(peer: Peer) -> None:
        requests.append(await peer.request())

    async def main() -> None:
        tls = trusting if trusts else None
        async with serving(script, server_tls) as url, calling(tls=tls) as transport:
            with pytest.raises(httpx.ConnectError, match="certificate") as caught:
                await fetch(transport, url.replace("127.0.0.1", host))

            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
            assert (transport.active, transport.idle) == (0, 0)
            assert requests == []

    run(main())


@on_both_loops
def test_a_handshake_that_stalls_runs_into_the_connect_deadline(run, trusting):
    """A server that accepts and says nothing is left in time."""

    async def main() -> None:
        async with serving(Peer.gone) as url, calling(tls=trusting) as transport:
            with pytest.raises(httpx.ConnectTimeout):
                await fetch(transport, url.replace("http:", "https:"), timeout={"connect": 0.05})

            assert (transport.active, transport.idle) == (0, 0)

    run(main())


@on_both_loops
def test_a_handshake_with_something_else_is_a_connect_error(run, trusting):
    """A server that answers with anything but TLS is not taken for one."""

    async def script(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.gone()

    async def main() -> None:
        async with serving(script) as url, calling(tls=trusting) as transport:
            with pytest.raises(httpx.ConnectError):
                await fetch(transport, url.replace("http:", "https:"))

            assert transport.active == 0

    run(main())


@on_both_loops
def test_a_connect_cancelled_in_the_handshake_frees_its_place(run, trusting):
    """Cancelled while the server keeps silent, nothing stays behind."""
    accepted = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.reader.read(1)
        accepted.set()
        await peer.gone()

    async def main() -> None:
        async with serving(script) as url, calling(tls=trusting) as transport:
            call = asyncio.create_task(fetch(transport, url.replace("http:", "https:")))
            await accepted.wait()
            assert transport.active == 1
            call.cancel()
            await asyncio.wait([call])

            assert call.cancelled()
            assert transport.active == 0

    run(main())


@on_both_loops
def test_a_large_answer_over_tls_is_held_back_and_then_read(run, server_tls, trusting):
    """Back-pressure and reading on work through the encryption too."""
    size = 4 * 1024 * 1024

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + bytes(size))
        await peer.gone()

    async def main() -> None:
        async with serving(script, server_tls) as url, calling(tls=trusting) as transport:
            status, body = await fetch(transport, url.replace("127.0.0.1", "localhost"))

            assert (status, len(body), transport.idle) == (200, size, 1)

    run(main())
