"""A proxy that closes each connection after a number of bytes."""

from __future__ import annotations

import select
import socket
import socketserver
from threading import Thread
from typing import Self

# Time limit in seconds without a byte on a connection; long because the machine may be busy.
BOUND = 60.0


class Cutter(socketserver.ThreadingTCPServer):
    """A proxy of the port ``upstream``; a context manager that accepts connections.

    Attributes:
        port: the port of the proxy.
        upstream: the port of the server.
        size: the number of bytes from the server after which a connection is closed.
        cuts: the number of connections closed for this reason so far.
    """

    daemon_threads = False

    def __init__(self, upstream: int, size: int) -> None:
        self.upstream = upstream
        self.size = size
        self.cuts = 0
        # When it is closed, the handlers of all connections end.
        self.ending, self._end = socket.socketpair()
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port: int = self.server_address[1]
        self._thread = Thread(target=self.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._end.close()
        self.server_close()
        self.ending.close()
        self._thread.join()


class _Handler(socketserver.BaseRequestHandler):
    request: socket.socket
    server: Cutter

    def handle(self) -> None:
        client, ending = self.request, self.server.ending
        remaining = self.server.size
        with socket.create_connection(("127.0.0.1", self.server.upstream)) as upstream:
            while remaining:
                ready = select.select([client, upstream, ending], [], [], BOUND)[0]
                if not ready or ending in ready:
                    return
                for source in ready:
                    data = source.recv(min(remaining, 65536) if source is upstream else 65536)
                    if not data:
                        return
                    (client if source is upstream else upstream).sendall(data)
                    if source is upstream:
                        remaining -= len(data)
        self.server.cuts += 1
