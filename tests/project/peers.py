"""Comparison with other libraries: each feature is tried on each installed library.

    python -m tests.project.peers            # compare the pages with the libraries
    python -m tests.project.peers --write    # write the pages
    python -m tests.project.peers --links    # write labels and links only: no library is tried

The whole table is in ``docs/pages/comparison.md``; the README and the home page have some rows. In
a cell, "yes" and "no" are results of a trial (an exception is a "no"), and "-" means that the
library has no such feature. The last column links to the test that proves the row for asgikit.
"""

from __future__ import annotations

import gzip
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from asgikit.testing import exchange
from tests.project.pages import (
    DOCS,
    README,
    SOURCE,
    read_block,
    read_table,
    update_pages,
    write_table,
)
from tests.project.peer_apps import CLOSED, LIBRARIES
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from tests.project.peer_apps import Library

PAGE = DOCS / "comparison.md"
HOME = DOCS / "index.md"
PEERS = ("Starlette", "baize", "Werkzeug", "Falcon")

JSON = {"content-type": "application/json"}
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}
FIELD = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\ntea'
MiB = 1024 * 1024


class Feature(NamedTuple):
    """A row of the table.

    Attributes:
        label: its first cell.
        app: the name of the app in :mod:`tests.project.peer_apps` that the trial needs.
        holds: the trial: returns whether the app has the feature.
        test: the name of the test that proves the row for asgikit; unique in the test suite.
        is_in_readme: whether the row is in the README's table.
    """

    label: str
    app: str
    holds: Callable[[Any], Awaitable[bool]]
    test: str
    is_in_readme: bool = False


async def _keeps_tab_in_url(app: Any) -> bool:
    return (await exchange(app, target="/ad%09min")).text == "http://localhost/ad%09min"


async def _ignores_malformed_host(app: Any) -> bool:
    # A malformed Host must not move the URL to another authority.
    answer = await exchange(app, target="/a", headers={"host": "a@evil.example/"})
    return "evil.example" not in answer.text


async def _refuses_truncated_form(app: Any) -> bool:
    answer = await exchange(app, "POST", headers=MULTIPART, body=FIELD)
    return answer.status_code == 400


async def _refuses_invalid_json(app: Any) -> bool:
    return (await exchange(app, "POST", headers=JSON, body=b"[")).status_code == 400


async def _refuses_large_json(app: Any) -> bool:
    body = [b"[" + b" " * MiB, *[b" " * MiB] * 63, b"]"]
    return (await exchange(app, "POST", headers=JSON, body=body)).status_code == 413


async def _decodes_gzip(app: Any) -> bool:
    headers = {**JSON, "content-encoding": "gzip"}
    answer = await exchange(app, "POST", headers=headers, body=gzip.compress(b"[1]"))
    return answer.status_code == 200 and answer.json() == [1]


async def _refuses_line_break(app: Any) -> bool:
    return (await exchange(app)).text == "ValueError"


async def _answers_304(app: Any) -> bool:
    etag = (await exchange(app, target="/file.txt")).headers["etag"]
    headers = {"if-none-match": etag}
    return (await exchange(app, target="/file.txt", headers=headers)).status_code == 304


async def _answers_412(app: Any) -> bool:
    headers = {"if-match": '"another"'}
    return (await exchange(app, target="/file.txt", headers=headers)).status_code == 412


async def _sends_several_ranges(app: Any) -> bool:
    answer = await exchange(app, target="/file.txt", headers={"range": "bytes=0-0,2-2"})
    kind = answer.headers.get("content-type", "")
    return answer.status_code == 206 and kind.startswith("multipart/byteranges")


async def _keeps_event_format(app: Any) -> bool:
    lines = re.split(r"\r\n|\r|\n", (await exchange(app)).text)
    return [line for line in lines if line.startswith("event")] == [] and any(
        line.startswith("data") for line in lines
    )


async def _closes_iterator(app: Any) -> bool:
    CLOSED.clear()
    with anyio.move_on_after(2):
        await exchange(app, disconnect_after=3)
    return CLOSED == ["closed"]


async def _answers_problem(app: Any) -> bool:
    answer = await exchange(app)
    kind = answer.headers.get("content-type", "")
    return answer.status_code == 404 and kind.startswith("application/problem+json")


async def _negotiates(app: Any) -> bool:
    accept = "text/html;q=0.2, application/json;q=0.8, */*;q=0.1"
    return (await exchange(app, headers={"accept": accept})).text == "application/json"


async def _finds_client_behind_proxy(app: Any) -> bool:
    fields = {"x-forwarded-for": "6.6.6.6, 192.0.2.1"}
    trusted = await exchange(app, headers=fields, scope={"client": ("10.0.0.1", 1)})
    stranger = await exchange(app, headers=fields, scope={"client": ("192.0.2.9", 1)})
    return (trusted.text, stranger.text) == ("192.0.2.1", "192.0.2.9")


async def _compresses(app: Any) -> bool:
    answer = await exchange(app, headers={"accept-encoding": "br, zstd"})
    return answer.headers.get("content-encoding") in {"br", "zstd"}


async def _answers_without_scope(app: Any) -> bool:
    messages: list[Any] = []

    async def receive() -> Any:
        await anyio.sleep_forever()

    async def send(message: Any) -> None:
        messages.append(message)

    try:
        await app(receive, send)
    except (TypeError, AttributeError):
        return False
    return len(messages) == 2


async def _accepts_websocket(app: Any) -> bool:
    return (await exchange(app, scope={"type": "websocket"})).status_code == 101


async def _exists(app: Any) -> bool:
    return app is not None


FEATURES = [
    Feature(
        "`request.url` keeps an encoded control character", "url", _keeps_tab_in_url,
        "test_request_url_is_that_of_the_scope",
    ),
    Feature(
        "a malformed Host is not in `request.url`", "url", _ignores_malformed_host,
        "test_url_has_a_valid_host",
    ),
    Feature(
        "invalid JSON is answered with 400", "json", _refuses_invalid_json,
        "test_malformed_json_is_400_each_time", is_in_readme=True,
    ),
    Feature(
        "64 MiB of JSON is answered with 413 by default", "json", _refuses_large_json,
        "test_body_over_limit_is_413_as_it_arrives", is_in_readme=True,
    ),
    Feature(
        "a request body in gzip is decoded", "json", _decodes_gzip,
        "test_readers_return_the_decoded_body",
    ),
    Feature(
        "a truncated multipart form is answered with 400", "form", _refuses_truncated_form,
        "test_truncated_form_is_refused", is_in_readme=True,
    ),
    Feature(
        "negotiation by Accept, with weights", "accept", _negotiates,
        "test_accept_best_match_prefers_client_then_offer_order",
    ),
    Feature(
        "client address behind proxies, by trusted networks", "client", _finds_client_behind_proxy,
        "test_client_address_is_read_from_headers_of_trusted_proxies",
    ),
    Feature(
        "a line break in a header is a `ValueError`", "field", _refuses_line_break,
        "test_malformed_header_is_refused_without_a_change",
    ),
    Feature(
        "static files support If-None-Match (304)", "folder", _answers_304,
        "test_folder_file_obeys_preconditions_and_ranges",
    ),
    Feature(
        "a file response supports If-None-Match (304)", "file", _answers_304,
        "test_get_obeys_preconditions_and_ranges", is_in_readme=True,
    ),
    Feature(
        "a file response supports If-Match (412)", "file", _answers_412,
        "test_get_obeys_preconditions_and_ranges",
    ),
    Feature(
        "a file response supports several ranges", "file", _sends_several_ranges,
        "test_several_ranges_have_a_random_boundary",
    ),
    Feature(
        "any response can support If-None-Match (304)", "page", _answers_304,
        "test_conditional_response_has_an_etag_of_its_body",
    ),
    Feature(
        "a sync iterator is closed when the client disconnects", "stream", _closes_iterator,
        "test_disconnect_while_iterator_waits_closes_it",
    ),
    Feature(
        "no data can break the event stream format", "events", _keeps_event_format,
        "test_any_text_is_parsed_as_data_of_one_event",
    ),
    Feature(
        "responses in br and zstd", "compress", _compresses,
        "test_coding_is_the_one_that_the_client_prefers",
    ),
    Feature(
        "errors as problem details (RFC 9457)", "error", _answers_problem,
        "test_problem_response_is_a_json_document",
    ),
    Feature(
        "`await response(receive, send)`", "response", _answers_without_scope,
        "test_response_is_callable_with_and_without_scope",
    ),
    Feature(
        "websockets", "websocket", _accepts_websocket,
        "test_websocket_is_closed_without_denial_extension",
    ),
    Feature(
        "router", "router", _exists,
        "test_there_is_no_router_and_no_wsgi", is_in_readme=True,
    ),
    Feature(
        "WSGI", "wsgi", _exists,
        "test_there_is_no_router_and_no_wsgi",
    ),
]  # fmt: skip


async def try_one(feature: Feature, library: Library, folder: Path) -> str:
    """Return the cell of one feature and one library."""
    app = library(feature.app, folder)
    if app is None:
        return "-"
    try:
        holds = await feature.holds(app)
    except NameError:
        raise  # a bug in the trial
    except Exception:  # noqa: BLE001 - any exception of the library is a "no"
        holds = False
    return "yes" if holds else "no"


async def try_library(name: str, folder: Path) -> list[str]:
    """Return the column of one library."""
    (folder / "file.txt").write_text("0123456789" * 1000)
    return [await try_one(feature, LIBRARIES[name], folder) for feature in FEATURES]


def heads() -> list[str]:
    """Return the name of each installed library, with its version."""
    versions = {name: metadata.version(name) for name in PEERS if find_spec(name.lower())}
    return ["asgikit", *(f"{name} {version}" for name, version in versions.items())]


def find_test(name: str, root: Path = ROOT) -> Path:
    """Return the file below ``root / "tests"`` with the test ``name``, relative to ``root``.

    Raises:
        LookupError: there is no such test, or more than one.
    """
    definition = re.compile(rf"^ *(?:async )?def {name}\(", re.MULTILINE)
    files = [
        path.relative_to(root)
        for path in sorted((root / "tests").rglob("test_*.py"))
        for _ in definition.finditer(path.read_text(encoding="utf-8"))
    ]
    if len(files) != 1:
        raise LookupError(f"tests with the name {name}: {', '.join(map(str, files)) or 'none'}")
    return files[0]


def read_columns() -> dict[str, list[str]]:
    """Read the columns of the docs page, by their heads, without labels and proofs."""
    head, *rows = read_table(read_block(PAGE.read_text(encoding="utf-8"), "peers"))
    return {
        name: [row[at] for row in rows] for at, name in enumerate(head) if name not in {"", "proof"}
    }


def make_table(columns: dict[str, list[str]]) -> str:
    """Write the whole table from its columns, with links to the repository."""
    rows = []
    for feature, *cells in zip(FEATURES, *columns.values(), strict=True):
        file = find_test(feature.test)
        proof = f'[`{file.stem}`]({SOURCE}/{file.as_posix()} "{feature.test}")'
        rows.append([feature.label, *cells, proof])
    return write_table(["", *columns, "proof"], rows)


def summarize(columns: dict[str, list[str]]) -> str:
    """Write the table of the README and the home page: some rows, of asgikit and Starlette."""
    shown = {head: columns[head] for head in columns if head.startswith(("asgikit", "Starlette"))}
    rows = [
        [feature.label, *cells]
        for feature, *cells in zip(FEATURES, *shown.values(), strict=True)
        if feature.is_in_readme
    ]
    return write_table(["", *shown], rows)


def main(arguments: list[str]) -> int:
    """Compare the pages with the libraries, or write them."""
    if arguments == ["--links"]:
        columns = read_columns()
    else:
        with tempfile.TemporaryDirectory() as folder:
            columns = {
                head: anyio.run(try_library, head.split(" ")[0], Path(folder)) for head in heads()
            }
    written = make_table(columns)
    is_writing = arguments in (["--write"], ["--links"])
    summary = summarize(columns)
    blocks = {PAGE: written, README: summary, HOME: summary}
    stale = update_pages("peers", blocks, write=is_writing)
    if stale and not is_writing:
        names = ", ".join(path.name for path in stale)
        sys.stdout.write(f"{names}: not the results of the trials, which are:\n\n{written}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
