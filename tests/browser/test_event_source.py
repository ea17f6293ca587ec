"""Chromium's EventSource listens to streams that break off, and reconnects."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tests.browser.cutter import Cutter
from tests.servers.served.browsed_events import EVENTS, IDS, NAMES

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from tests.servers.harness import Server

# Gives [type, data, last id] of each event as soon as the server has told the browser not to come
# back, or `most` have come; and how often the stream was opened. In ASCII, so that nothing on its
# way here changes it.
LISTEN = r"""
const [path, names, most] = arguments;
return new Promise((give) => {
    const source = new EventSource(path);
    const seen = [];
    let opened = 0;
    const end = () => {
        source.close();
        give(JSON.stringify([seen, opened]).replace(/[^\x20-\x7e]/g,
            (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0")));
    };
    source.onopen = () => { opened += 1; };
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) end(); };
    for (const name of names)
        source.addEventListener(name, (event) => {
            seen.push([event.type, event.data, event.lastEventId]);
            if (seen.length === most) end();
        });
});
"""

# A client joins the lines of an event by LF.
EXPECTED = [
    [event.event or "message", re.sub("\r\n?", "\n", event.data), event.id] for event in EVENTS
]


def listen(
    browser: Chrome, port: int, path: str, most: int | None = None
) -> tuple[list[list[str]], int]:
    """Listen to a stream; give the events, and how often the browser connected."""
    browser.get(f"http://127.0.0.1:{port}/page")
    # And for what an event that is none would be called.
    names = [*NAMES, "evil"]
    events, opened = json.loads(browser.execute_script(LISTEN, path, names, most))
    return events, opened


def test_nothing_is_lost_or_doubled_where_the_server_ends_the_stream(
    browser: Chrome, server: Server
) -> None:
    events, opened = listen(browser, server.port, "/events?cut=97")

    assert len(EVENTS) == 1000
    assert events == EXPECTED
    assert opened == 11


def test_nothing_is_lost_or_doubled_where_the_connection_breaks_off(
    browser: Chrome, server: Server
) -> None:
    # Wherever that is: within an event, a line, a character.
    with Cutter(server.port, 333_333) as cutter:
        events, opened = listen(browser, cutter.port, "/events")

        assert events == EXPECTED
        assert opened > 10
        assert cutter.cuts >= opened - 1


def test_a_client_comes_back_as_soon_as_it_was_told_to(browser: Chrome, server: Server) -> None:
    # The browser's own three seconds, twenty times, would be more than a script is given.
    events, opened = listen(browser, server.port, "/retried")

    assert events == [["message", str(number), str(number)] for number in range(20)]
    assert opened == 20


def test_any_id_comes_back_and_an_empty_one_is_none(browser: Chrome, server: Server) -> None:
    events, _ = listen(browser, server.port, "/identified", len(IDS) + 2)

    came = [None, *IDS, None]
    sent = [*IDS, "", IDS[0]]
    assert [(json.loads(data), id_) for _, data, id_ in events] == [
        ([last], id_) for last, id_ in zip(came, sent, strict=True)
    ]


# Says the next word when the last one has come back, the first one when the stream is open.
TALK = """
const words = [...arguments];
return new Promise((give, fail) => {
    const source = new EventSource("/heard?by=page");
    const heard = [];
    const say = () => fetch("/said?by=page", {method: "POST", body: words[heard.length]});
    source.onopen = say;
    source.onmessage = (event) => {
        heard.push(event.data);
        if (heard.length < words.length) return say();
        source.close();
        give(heard);
    };
    source.onerror = () => fail(`broken off after ${heard}`);
});
"""


def test_a_stream_opens_at_once_and_an_event_arrives_before_there_is_another(
    browser: Chrome, server: Server
) -> None:
    browser.get(f"http://127.0.0.1:{server.port}/page")

    words = ["one", "two", "three", "bye"]
    assert browser.execute_script(TALK, *words) == words
