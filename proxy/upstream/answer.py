"""What a provider's bytes say: answers, one after the other. Pure: no socket, no loop."""

from typing import Final

import httptools
import httpx

HEAD_BYTES_MAX: Final = 64 * 1024  # nginx allows 32 KiB of head; providers send under 4 KiB
HEADERS_MAX: Final = 100  # http.client's own limit; providers send about 30


class AnswerParser:
    """Bytes of a connection → answers, one after the other. Does no I/O.

    Attributes:
        status: Of the final answer, once its head is whole; None before.
        headers: Of that head, as sent.
        is_complete: The answer is over. What is fed after that spoils `is_reusable`.
        is_reusable: The connection can carry another exchange.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.expect(is_head=False)

    def expect(self, *, is_head: bool) -> None:
        """Start on the next answer."""
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = self.is_reusable = False
        self._is_head = is_head
        self._pieces: list[bytes] = []
        self._bodiless_bytes = 0  # fed since the start or the last byte of a body

    @property
    def ends_with_connection(self) -> bool:
        """The head gives no other end to the body (RFC 9112, 6.3, rule 8)."""
        fields = [(name.lower(), value) for name, value in self.headers]
        codings = [value for name, value in fields if name == b"transfer-encoding"]
        if codings:
            return not codings[-1].strip().lower().endswith(b"chunked")
        return all(name != b"content-length" for name, _ in fields)

    def feed(self, data: bytes) -> None:
        """Take in what arrived.

        Raises:
            httpx.RemoteProtocolError: It is not HTTP/1.1, or its head is over our limits.
        """
        self._bodiless_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as fault:
            self.is_reusable = False
            if not self.is_complete:
                raise _refusal(fault) from fault
        if self._pieces:
            self._bodiless_bytes = 0
        elif self._bodiless_bytes > HEAD_BYTES_MAX and not self.is_complete:
            raise httpx.RemoteProtocolError("the answer's head or framing is over 64 KiB")

    def take(self) -> bytes:
        """Return the body's bytes of the last `feed`, in one piece."""
        pieces = self._pieces
        if not pieces:
            return b""
        self._pieces = []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def on_message_begin(self) -> None:
        """From httptools: a first byte."""
        self.is_reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """From httptools: a header, or a trailer, which nobody here needs."""
        if self.status is None:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """From httptools: a head is whole, of the final answer or of an interim one."""
        status = self._parser.get_status_code()
        if status == httpx.codes.SWITCHING_PROTOCOLS:
            raise httpx.RemoteProtocolError("the server switched protocols without being asked")
        if status >= httpx.codes.OK and self.status is None:
            self._check_head()
            self.status = status
            self.is_complete = self._is_head

    def on_body(self, piece: bytes) -> None:
        """From httptools: bytes of a body, freed of their framing."""
        if not self.is_complete:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """From httptools: a message is over."""
        if self.status is None:
            self.headers = []
        elif not self.is_complete:
            self.is_complete = True
            self.is_reusable = self._parser.should_keep_alive()

    def _check_head(self) -> None:
        if len(self.headers) > HEADERS_MAX:
            raise httpx.RemoteProtocolError("the answer has over 100 headers")
        if self._bodiless_bytes > HEAD_BYTES_MAX:  # a head of that size is possible: add it up
            head_bytes = sum(len(name) + len(value) for name, value in self.headers)
            if head_bytes > HEAD_BYTES_MAX:
                raise httpx.RemoteProtocolError("the answer's head is over 64 KiB")


def _refusal(fault: Exception) -> httpx.RemoteProtocolError:
    """Our own refusal, if one of the callbacks raised it; else a word for the parser's."""
    ours, fault.__context__ = fault.__context__, None
    if isinstance(ours, httpx.RemoteProtocolError):
        return ours
    return httpx.RemoteProtocolError("the answer is not valid HTTP/1.1")
