"""An HTTP/1.1 client on a raw socket: it sends what it is told, and can leave at any point."""

from __future__ import annotations

import json
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

# Seconds to wait for the next bytes, wide because the machine may be busy.
READ_BOUND = 20.0


@dataclass
class ReceivedResponse:
    """What a server sent: the final response to one request."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def get(self, name: str) -> str | None:
        """The value of the field ``name`` (lower case), joined where it is repeated."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None

    def json(self) -> Any:
        """The body read as JSON."""
        return json.loads(self.body)


def _head(method: str, target: str, *lines: str) -> bytes:
    head = [f"{method} {target} HTTP/1.1", "Host: localhost", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Connection:
    """A connection to a port of this machine; a context manager that closes it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), READ_BOUND)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection as a client does that has what it wants."""
        self._file.close()
        self._socket.close()

    def reset(self) -> None:
        """Break the connection off: the server's system sees RST, not FIN."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def send(self, data: bytes) -> None:
        """Send ``data`` as it is."""
        self._socket.sendall(data)

    def send_head(self, method: str, target: str, *lines: str) -> None:
        """Send the head of a request; ``lines`` are further field lines."""
        self.send(_head(method, target, *lines))

    def send_chunk(self, chunk: bytes) -> None:
        """Send a piece of a body in the chunked coding (RFC 9112, section 7.1), the last empty."""
        self.send(_chunk(chunk))

    def request(
        self, method: str, target: str, *lines: str, body: bytes | Iterable[bytes] | None = None
    ) -> ReceivedResponse:
        """Send a request and read its answer.

        Args:
            method: of the request.
            target: of the request, as it goes on the wire.
            lines: further field lines.
            body: bytes are sent with a Content-Length, an iterable of them chunked.
        """
        # All of it at once: a server may answer, and close, before it has read the body.
        if body is None:
            self.send(_head(method, target, *lines))
        elif isinstance(body, bytes):
            self.send(_head(method, target, *lines, f"Content-Length: {len(body)}") + body)
        else:
            head = _head(method, target, *lines, "Transfer-Encoding: chunked")
            self.send(head + b"".join(map(_chunk, [*body, b""])))
        return self.read_response(method)

    def request_websocket(self, target: str) -> ReceivedResponse:
        """Ask for a websocket (RFC 6455, section 4.1)."""
        return self.request(
            "GET",
            target,
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )

    def read_head(self) -> ReceivedResponse:
        """Read up to the empty line after the headers, past interim responses."""
        answer = self._read_one_head()
        while 100 <= answer.status < 200 and answer.status != 101:
            answer = self._read_one_head()
        return answer

    def _read_one_head(self) -> ReceivedResponse:
        line = self._file.readline()
        if not line:
            raise ConnectionError("the server closed the connection without an answer")
        answer = ReceivedResponse(int(line.split(b" ")[1]))
        while line := self._file.readline().rstrip(b"\r\n"):
            name, _, value = line.decode("latin-1").partition(":")
            answer.headers.append((name.lower(), value.strip()))
        return answer

    def read_response(self, method: str = "GET") -> ReceivedResponse:
        """Read a response to a request by ``method``, its body to the end."""
        answer = self.read_head()
        length = answer.get("content-length")
        if method == "HEAD" or answer.status in {101, 204, 304}:
            pass
        elif answer.get("transfer-encoding") == "chunked":
            answer.body = b"".join(iter(self.read_chunk, b""))
        elif length is not None:
            answer.body = self._read_exactly(int(length))
        else:
            answer.body = self._file.read()
        return answer

    def read_chunk(self) -> bytes:
        """Read one chunk of a chunked body; empty is the last one."""
        size = int(self._file.readline(), 16)
        data = self._read_exactly(size)
        self._read_exactly(2)
        return data

    def read_some(self) -> bytes:
        """Read the next bytes as they are on the wire.

        Raises:
            ConnectionError: there are none, the server has closed the connection.
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
