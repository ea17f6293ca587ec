"""What the others do: tried on what is installed, and printed as a table.

    python -m tests.project.peers            # is the README's table that?
    python -m tests.project.peers --write    # make it so

A "yes" is what was seen; a "no" was seen too, or is an error; a dash is that a library has no word
for it. Which test of ours proves a row is said in its last column.
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
from tests.project.peer_apps import CLOSED, LIBRARIES
from tests.project.works_with import printed, put, table
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from tests.project.peer_apps import Library

README = ROOT / "README.md"
PEERS = ("Starlette", "baize", "Werkzeug", "Falcon")

JSON = {"content-type": "application/json"}
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}
FIELD = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\ntea'
MiB = 1024 * 1024


class Feature(NamedTuple):
    """A row of the table.

    Attributes:
        label: what it says.
        app: what a library must have for it.
        holds: tells it of the app.
        test: the test of ours that proves it.
    """

    label: str
    app: str
    holds: Callable[[Any], Awaitable[bool]]
    test: str


async def _sees_tab(app: Any) -> bool:
    return (await exchange(app, target="/ad%09min")).text == "http://localhost/ad%09min"


async def _ignores_host(app: Any) -> bool:
    # A Host that is none must not lead to somebody else.
    answer = await exchange(app, target="/a", headers={"host": "a@evil.example/"})
    return "evil.example" not in answer.text


async def _refuses_cut_form(app: Any) -> bool:
    answer = await exchange(app, "POST", headers=MULTIPART, body=FIELD)
    return answer.status_code == 400


async def _refuses_broken_json(app: Any) -> bool:
    return (await exchange(app, "POST", headers=JSON, body=b"[")).status_code == 400


async def _refuses_much(app: Any) -> bool:
    body = [b"[" + b" " * MiB, *[b" " * MiB] * 63, b"]"]
    return (await exchange(app, "POST", headers=JSON, body=body)).status_code == 413


async def _decodes(app: Any) -> bool:
    headers = {**JSON, "content-encoding": "gzip"}
    answer = await exchange(app, "POST", headers=headers, body=gzip.compress(b"[1]"))
    return answer.status_code == 200 and answer.json() == [1]


async def _refuses_line_break(app: Any) -> bool:
    return (await exchange(app)).text == "ValueError"


async def _knows_it(app: Any) -> bool:
    etag = (await exchange(app, target="/file.txt")).headers["etag"]
    headers = {"if-none-match": etag}
    return (await exchange(app, target="/file.txt", headers=headers)).status_code == 304


async def _guards_it(app: Any) -> bool:
    headers = {"if-match": '"another"'}
    return (await exchange(app, target="/file.txt", headers=headers)).status_code == 412


async def _gives_ranges(app: Any) -> bool:
    answer = await exchange(app, target="/file.txt", headers={"range": "bytes=0-0,2-2"})
    kind = answer.headers.get("content-type", "")
    return answer.status_code == 206 and kind.startswith("multipart/byteranges")


async def _keeps_the_frame(app: Any) -> bool:
    lines = re.split(r"\r\n|\r|\n", (await exchange(app)).text)
    return [line for line in lines if line.startswith("event")] == [] and any(
        line.startswith("data") for line in lines
    )


async def _closes(app: Any) -> bool:
    CLOSED.clear()
    with anyio.move_on_after(2):
        await exchange(app, disconnect_after=3)
    return CLOSED == ["closed"]


async def _is_problem(app: Any) -> bool:
    answer = await exchange(app)
    kind = answer.headers.get("content-type", "")
    return answer.status_code == 404 and kind.startswith("application/problem+json")


async def _chooses(app: Any) -> bool:
    accept = "text/html;q=0.2, application/json;q=0.8, */*;q=0.1"
    return (await exchange(app, headers={"accept": accept})).text == "application/json"


async def _believes_whom_it_trusts(app: Any) -> bool:
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


async def _is_there(app: Any) -> bool:
    return app is not None


FEATURES = [
    Feature(
        "the path of `request.url` is the path, whatever is in it", "url", _sees_tab,
        "test_url.py::test_a_request_url_is_its_scope",
    ),
    Feature(
        "a hostile Host is no part of `request.url`", "url", _ignores_host,
        "test_request.py::test_the_url_has_a_host_that_is_one",
    ),
    Feature(
        "JSON that does not parse is a 400", "json", _refuses_broken_json,
        "test_request.py::test_json_that_is_none_is_400_each_time",
    ),
    Feature(
        "64 MiB of JSON are a 413, unless told otherwise", "json", _refuses_much,
        "test_request.py::test_a_body_over_the_limit_is_413_as_it_arrives",
    ),
    Feature(
        "a body in gzip is decoded", "json", _decodes,
        "test_request_coding.py::test_a_body_is_read_as_if_it_was_not_coded",
    ),
    Feature(
        "a form that is cut short is a 400", "form", _refuses_cut_form,
        "test_forms.py::test_a_form_that_is_cut_short_is_refused",
    ),
    Feature(
        "Accept decides, by its weights", "accept", _chooses,
        "http/test_negotiation.py::test_the_best_match_is_the_clients_and_a_tie_the_servers",
    ),
    Feature(
        "the client behind proxies, by networks", "client", _believes_whom_it_trusts,
        "test_request_fields.py::test_the_client_is_found_behind_trusted_proxies",
    ),
    Feature(
        "a line break in a header field is a `ValueError`", "field", _refuses_line_break,
        "test_headers.py::test_what_would_split_a_message_stays_out_and_changes_nothing",
    ),
    Feature(
        "a folder: 304", "folder", _knows_it,
        "test_staticfiles.py::test_conditions_and_ranges_are_those_of_a_file",
    ),
    Feature("a file response: 304", "file", _knows_it, "test_files.py::test_what_a_get_gets"),
    Feature("a file response: 412", "file", _guards_it, "test_files.py::test_what_a_get_gets"),
    Feature(
        "a file response: several ranges", "file", _gives_ranges,
        "test_files.py::test_several_ranges_are_parts_that_the_file_does_not_hold",
    ),
    Feature(
        "any response: ETag and 304", "page", _knows_it,
        "test_conditional_responses.py::test_a_body_has_a_tag_that_a_client_can_ask_by",
    ),
    Feature(
        "a sync iterator is closed when the client leaves", "stream", _closes,
        "test_streaming.py::test_closed_when_the_client_leaves_while_it_waits",
    ),
    Feature(
        "server-sent events that no data breaks", "events", _keeps_the_frame,
        "http/test_event_stream.py::test_any_text_arrives_as_the_data_of_one_event",
    ),
    Feature(
        "br and zstd", "compress", _compresses,
        "test_compression.py::test_the_coding_is_the_one_that_the_client_would_rather_have",
    ),
    Feature(
        "errors as problem details (RFC 9457)", "error", _is_problem,
        "test_responses.py::test_a_problem_is_a_document",
    ),
    Feature(
        "`await response(receive, send)`", "response", _answers_without_scope,
        "test_responses.py::test_a_response_is_awaited_with_and_without_its_scope",
    ),
    Feature(
        "websockets", "websocket", _accepts_websocket,
        "test_asgi.py::test_a_websocket_is_closed",
    ),
    Feature("a router", "router", _is_there, "test_peers.py::test_there_is_no_router_and_no_wsgi"),
    Feature("WSGI", "wsgi", _is_there, "test_peers.py::test_there_is_no_router_and_no_wsgi"),
]  # fmt: skip


async def try_one(feature: Feature, library: Library, folder: Path) -> str:
    """Give a cell of the table."""
    app = library(feature.app, folder)
    if app is None:
        return "-"
    try:
        holds = await feature.holds(app)
    except NameError:
        raise  # a mistake of ours
    except Exception:  # noqa: BLE001 - whatever it is, it is no answer
        holds = False
    return "yes" if holds else "no"


async def try_library(name: str, folder: Path) -> list[str]:
    """Give the column of one library."""
    (folder / "file.txt").write_text("0123456789" * 1000)
    return [await try_one(feature, LIBRARIES[name], folder) for feature in FEATURES]


def heads() -> list[str]:
    """Name the libraries, each with its version."""
    versions = {name: metadata.version(name) for name in PEERS if find_spec(name.lower())}
    return ["asgikit", *(f"{name} {version}" for name, version in versions.items())]


def make_table(columns: dict[str, list[str]]) -> str:
    """Write the table out of its columns, by their heads."""
    rows = []
    for index, feature in enumerate(FEATURES):
        file, _, test = feature.test.partition("::")
        proof = f'[`{Path(file).stem}`](tests/{file} "{test}")'
        rows.append([feature.label, *(column[index] for column in columns.values()), proof])
    return table(["", *columns, "proof"], rows)


def main(arguments: list[str]) -> int:
    """Compare the README's table with what is seen, or write it."""
    with tempfile.TemporaryDirectory() as folder:
        columns = {
            head: anyio.run(try_library, head.split(" ")[0], Path(folder)) for head in heads()
        }
    now = make_table(columns)
    text = README.read_text(encoding="utf-8")
    if arguments == ["--write"]:
        README.write_text(put(text, now, "peers"), encoding="utf-8")
    elif printed(text, "peers") != now:
        sys.stdout.write(f"The README says otherwise. Seen was:\n\n{now}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
