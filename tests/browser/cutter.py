"""A proxy that breaks every connection off after so many bytes."""

from __future__ import annotations

import select
import socket
import socketserver
from threading import Thread
from typing import Self

# Seconds without a byte on a connection, wide because the machine may be busy.
BOUND = 60.0


class Cutter(socketserver.ThreadingTCPServer):
    """Hand on what is sent to and from the port ``behind``; a context manager that listens.

    Attributes:
        port: where it listens.
        behind: the port of the server that it stands before.
        size: bytes of the server's that it hands on, for each connection.
        cuts: connections that it has broken off so far.
    """

    daemon_threads = False

    def __init__(self, behind: int, size: int) -> None:
        self.behind = behind
        self.size = size
        self.cuts = 0
        # At its end all connections see that this one has ended.
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
        left = self.server.size
        with socket.create_connection(("127.0.0.1", self.server.behind)) as behind:
            while left:
                ready = select.select([client, behind, ending], [], [], BOUND)[0]
                if not ready or ending in ready:
                    return
                for source in ready:
                    data = source.recv(min(left, 65536) if source is behind else 65536)
                    if not data:
                        return
                    (client if source is behind else behind).sendall(data)
                    if source is behind:
                        left -= len(data)
        self.server.cuts += 1
