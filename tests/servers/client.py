"""An HTTP/1.1 client on a raw socket.

It sends bytes without a check, so that a test can send malformed or partial requests, and it can
close or reset the connection at any point.
"""

from __future__ import annotations

import json
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

# Time limit for the next bytes, in seconds; long because the machine may be busy.
READ_BOUND = 20.0


@dataclass
class ReceivedResponse:
    """The final response to one request; names of headers are in lower case."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def get(self, name: str) -> str | None:
        """Return the header ``name`` (lower case); repeated values are joined by commas."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None

    def json(self) -> Any:
        """Return the body parsed as JSON."""
        return json.loads(self.body)


def _head(method: str, target: str, *lines: str) -> bytes:
    head = [f"{method} {target} HTTP/1.1", "Host: localhost", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Connection:
    """A connection to a port of localhost; a context manager that closes it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), READ_BOUND)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection: the server receives a FIN."""
        self._file.close()
        self._socket.close()

    def reset(self) -> None:
        """Reset the connection: the server receives an RST, not a FIN."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def send(self, data: bytes) -> None:
        """Send ``data`` unchanged."""
        self._socket.sendall(data)

    def send_head(self, method: str, target: str, *lines: str) -> None:
        """Send the head of a request; ``lines`` are further header lines."""
        self.send(_head(method, target, *lines))

    def send_chunk(self, chunk: bytes) -> None:
        """Send a chunk of the chunked coding (RFC 9112, section 7.1); the last one is empty."""
        self.send(_chunk(chunk))

    def request(
        self, method: str, target: str, *lines: str, body: bytes | Iterable[bytes] | None = None
    ) -> ReceivedResponse:
        """Send a request, and return its response.

        Args:
            method: the request method.
            target: the request target as sent on the wire.
            lines: further header lines.
            body: bytes are sent with a Content-Length, an iterable of bytes is sent chunked.
        """
        # In one write: a server may respond and close before it has read the body.
        if body is None:
            self.send(_head(method, target, *lines))
        elif isinstance(body, bytes):
            self.send(_head(method, target, *lines, f"Content-Length: {len(body)}") + body)
        else:
            head = _head(method, target, *lines, "Transfer-Encoding: chunked")
            self.send(head + b"".join(map(_chunk, [*body, b""])))
        return self.read_response(method)

    def request_websocket(self, target: str) -> ReceivedResponse:
        """Request a websocket (RFC 6455, section 4.1), and return the response."""
        return self.request(
            "GET",
            target,
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )

    def read_head(self) -> ReceivedResponse:
        """Read the head of a response; interim responses (1xx) before it are skipped."""
        response = self._read_one_head()
        while 100 <= response.status < 200 and response.status != 101:
            response = self._read_one_head()
        return response

    def _read_one_head(self) -> ReceivedResponse:
        line = self._file.readline()
        if not line:
            raise ConnectionError("the server closed the connection without a response")
        response = ReceivedResponse(int(line.split(b" ")[1]))
        while line := self._file.readline().rstrip(b"\r\n"):
            name, _, value = line.decode("latin-1").partition(":")
            response.headers.append((name.lower(), value.strip()))
        return response

    def read_response(self, method: str = "GET") -> ReceivedResponse:
        """Read the response to a request with ``method``, with its whole body."""
        response = self.read_head()
        length = response.get("content-length")
        if method == "HEAD" or response.status in {101, 204, 304}:
            pass
        elif response.get("transfer-encoding") == "chunked":
            response.body = b"".join(iter(self.read_chunk, b""))
        elif length is not None:
            response.body = self._read_exactly(int(length))
        else:
            response.body = self._file.read()
        return response

    def read_chunk(self) -> bytes:
        """Read one chunk of a chunked body; the last one is empty."""
        size = int(self._file.readline(), 16)
        data = self._read_exactly(size)
        self._read_exactly(2)
        return data

    def read_some(self) -> bytes:
        """Read the next bytes from the wire.

        Raises:
            ConnectionError: the server has closed the connection.
        """
        data = self._file.read1()
        if not data:
            raise ConnectionError("the server closed the connection")
        return data

    def _read_exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise ConnectionError(
                f"the server closed the connection {size - len(data)} bytes early"
            )
        return data
