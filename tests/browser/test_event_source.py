"""EventSource in Chromium: event streams that end or break, and reconnections."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.cutter import Cutter
from tests.servers.harness import SETUPS, Server
from tests.servers.served.browser_events import EVENTS, IDS, NAMES
from tests.servers.test_event_clients import EXPECTED as NUMBERED
from tests.servers.test_event_clients import LISTEN as READ_TO_END

if TYPE_CHECKING:
    from pathlib import Path

    from selenium.webdriver import Chrome

# Resolve to [type, data, last id] of each event and the number of connections, once the server has
# ended the reconnections or `limit` events have arrived. The JSON is ASCII, so that the driver does
# not change lone surrogates or line breaks.
LISTEN = r"""
const [path, names, limit] = arguments;
return new Promise((resolve) => {
    const source = new EventSource(path);
    const seen = [];
    let opened = 0;
    const end = () => {
        source.close();
        resolve(JSON.stringify([seen, opened]).replace(/[^\x20-\x7e]/g,
            (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0")));
    };
    source.onopen = () => { opened += 1; };
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) end(); };
    for (const name of names)
        source.addEventListener(name, (event) => {
            seen.push([event.type, event.data, event.lastEventId]);
            if (seen.length === limit) end();
        });
});
"""

# A client joins the lines of an event by LF.
EXPECTED = [
    [event.event or "message", re.sub("\r\n?", "\n", event.data), event.id] for event in EVENTS
]


def listen(
    browser: Chrome, port: int, path: str, limit: int | None = None
) -> tuple[list[list[str]], int]:
    """Return the events of a stream, and the number of connections."""
    browser.get(f"http://127.0.0.1:{port}/page")
    # "evil" is the type of events injected through data.
    names = [*NAMES, "evil"]
    events, opened = json.loads(browser.execute_script(LISTEN, path, names, limit))
    return events, opened


def test_each_event_arrives_once_if_server_ends_stream(browser: Chrome, server: Server) -> None:
    events, opened = listen(browser, server.port, "/events?cut=97")

    assert len(EVENTS) == 1000
    assert events == EXPECTED
    assert opened == 11


def test_each_event_arrives_once_if_connection_breaks(browser: Chrome, server: Server) -> None:
    # The connection breaks within an event, a line or a character.
    with Cutter(server.port, 333_333) as cutter:
        events, opened = listen(browser, cutter.port, "/events")

        assert events == EXPECTED
        assert opened > 10
        assert cutter.cuts >= opened - 1


def test_client_reconnects_after_retry_time(browser: Chrome, server: Server) -> None:
    # Twenty times the three seconds that are the default of browsers exceed the time limit.
    events, opened = listen(browser, server.port, "/retried")

    assert events == [["message", str(number), str(number)] for number in range(20)]
    assert opened == 20


def test_each_id_is_returned_and_empty_id_is_none(browser: Chrome, server: Server) -> None:
    events, _ = listen(browser, server.port, "/identified", len(IDS) + 2)

    received = [None, *IDS, None]
    sent = [*IDS, "", IDS[0]]
    assert [(json.loads(data), id_) for _, data, id_ in events] == [
        ([last], id_) for last, id_ in zip(received, sent, strict=True)
    ]


# Publish the first word when the stream is open, and each further one when the last has arrived.
PUBLISH = """
const words = [...arguments];
return new Promise((resolve, reject) => {
    const source = new EventSource("/subscribe?by=page");
    const received = [];
    const publish = () =>
        fetch("/publish?by=page", {method: "POST", body: words[received.length]});
    source.onopen = publish;
    source.onmessage = (event) => {
        received.push(event.data);
        if (received.length < words.length) return publish();
        source.close();
        resolve(received);
    };
    source.onerror = () => reject(`error after ${received}`);
});
"""


def test_each_event_arrives_before_next_is_sent(browser: Chrome, server: Server) -> None:
    browser.get(f"http://127.0.0.1:{server.port}/page")

    words = ["one", "two", "three", "bye"]
    assert browser.execute_script(PUBLISH, *words) == words


@pytest.mark.parametrize("size", [1009, 1500, 2003])
def test_each_event_of_log_arrives_once_if_connection_breaks(
    browser: Chrome, tmp_path: Path, size: int
) -> None:
    setup = next(setup for setup in SETUPS if setup.name == "uvicorn-h11-asyncio")
    with (
        Server(setup, "served.event_clients:app", tmp_path) as server,
        Cutter(server.port, size) as cutter,
    ):
        browser.get(f"http://127.0.0.1:{cutter.port}/page")
        seen = browser.execute_script(READ_TO_END, f"http://127.0.0.1:{cutter.port}/")
        browser.get("about:blank")

        assert seen == NUMBERED
        assert cutter.cuts >= 1
