"""Count instructions of requests: valgrind runs `python -m benchmarks.callgrind CONTENDER`.

Client requests tell callgrind where to count. They are instructions without an effect on a real
processor, which valgrind recognises. They are called as machine code, so neither a compiler nor the
headers of valgrind are needed.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import mmap
import platform
import re
import sys
from collections.abc import Callable
from typing import Any

from benchmarks import exchange
from benchmarks.contenders import load
from benchmarks.scenarios import SCENARIOS

# A function with one argument: the address of the request and its arguments. Both variants rotate a
# register by 128 bits in total, and then do nothing.
_CODE = {
    # mov %rdi,%rax; xor %edx,%edx; rol $3,$13,$61,$51 of %rdi; xchg %rbx,%rbx; mov %rdx,%rax; ret
    "x86_64": "4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3",
    # mov x4,x0; mov x3,0; ror #3,#13,#51,#61 of x12; orr x10,x10,x10; mov x0,x3; ret
    "aarch64": "e40300aa 030080d2 8c0dcc93 8c35cc93 8ccdcc93 8cf5cc93 4a010aaa e00303aa c0035fd6",
}
_TOOL = ord("C") << 24 | ord("T") << 16
_ZERO, _DUMP, _START = _TOOL + 1, _TOOL + 3, _TOOL + 4

WARM_UP = 60  # requests before the counted ones, until the interpreter has specialised its code
#: The number of counted requests per scenario: as few as are reproducible. Scenarios with worker
#: threads are left out, because their counts depend on the order in which the threads run.
COUNTED = {
    **dict.fromkeys(("plaintext", "json_small", "echo", "one_header", "set_cookie"), 30),
    **dict.fromkeys(("all_headers", "json_body"), 20),
    **dict.fromkeys(("json_10k", "urlencoded"), 10),
    **dict.fromkeys(("multipart", "stream"), 5),
    **dict.fromkeys(("json_100k", "json_body_100k", "events", "events_wait"), 1),
}


def is_supported() -> bool:
    """Return whether the client requests of this processor are known."""
    return platform.machine() in _CODE and sys.platform == "linux"


def make_client_request() -> Callable[..., None]:
    """Return a function that sends callgrind a request with an optional name."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex(_CODE[platform.machine()]))
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    call = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)(address)

    def request(number: int, name: bytes = b"") -> None:
        text = ctypes.create_string_buffer(name)
        words = (ctypes.c_uint64 * 6)(number, ctypes.addressof(text))
        call(ctypes.addressof(words))
        assert page  # keeps the memory of the function alive

    return request


async def do_nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    """Respond with nothing: the cost of the harness."""


def count(contender: str) -> None:
    """Write one part for each scenario, and one for the same requests to an empty app."""
    request = make_client_request()
    with asyncio.Runner() as runner:
        apps = runner.run(load(contender))

        def run(label: str, app: Any, name: str) -> None:
            requests = COUNTED[name]
            sent = SCENARIOS[name], SCENARIOS[name].messages()
            runner.run(exchange.measure(app, *sent, min(WARM_UP, 3 * requests)))
            gc.collect()
            gc.disable()
            request(_ZERO)
            runner.run(exchange.measure(app, *sent, requests))
            request(_DUMP, label.encode())
            gc.enable()

        # Counting starts after the imports, and only once: valgrind translates all code again at
        # each start.
        request(_START)
        # The first run takes longer, and is not counted.
        run("first", do_nothing, next(iter(COUNTED)))
        for name in COUNTED:
            run(f"floor:{name}", do_nothing, name)
            run(name, apps[SCENARIOS[name].key], name)


def read_part(text: str) -> tuple[str, int] | None:
    """Parse the name and the instructions of a part written by callgrind.

    >>> read_part("desc: Trigger: Client Request: a\\nfn=x\\ntotals: 12\\n")
    ('a', 12)
    """
    name = re.search(r"^desc: Trigger: Client Request: (\S+)", text, re.MULTILINE)
    total = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
    return (name[1], int(total[1])) if name and total else None


if __name__ == "__main__":
    count(sys.argv[1])
