"""The chat: each client receives each message once, also after a reconnect or if it is slow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from asgikit.testing import Exchange, exchange
from examples import chat
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> chat.Room:
    """Return an empty room."""
    room = chat.Room()
    monkeypatch.setattr(chat, "room", room)
    return room


async def say(text: str) -> Exchange:
    return await exchange(chat.app, "POST", "/say", headers=FORM, body=f"text={text}".encode())


async def listen(messages: int, last: str | None = None) -> list[tuple[str, str]]:
    """Return the ids and texts of the events received before the given number of messages."""
    headers = {} if last is None else {"last-event-id": last}
    # The start and the first comment of the stream are messages as well.
    answer = await exchange(
        chat.app, target="/events", headers=headers, disconnect_after=2 + messages
    )
    sent = b"".join(message.get("body", b"") for message in answer.messages).decode()
    found: list[tuple[str, str]] = re.findall(r'id: (.*)\ndata: {"text":"(.*)"}', sent)
    return found


async def test_page_requests_existing_paths() -> None:
    answer = await exchange(chat.app)

    assert answer.status_code == 200
    assert 'new EventSource("events")' in answer.text
    assert 'action="say"' in answer.text
    assert "innerHTML" not in answer.text


async def test_listeners_receive_messages_and_are_removed(room: chat.Room) -> None:
    heard = []

    async def hear() -> None:
        heard.append(await listen(2))

    async with anyio.create_task_group() as group:
        group.start_soon(hear)
        group.start_soon(hear)
        await until(lambda: len(room.subscribers) == 2)
        assert (await say("one")).status_code == 204
        assert (await say("two%20%C5%BE")).status_code == 204

    assert heard == [[("1", "one"), ("2", "two ž")]] * 2
    assert room.subscribers == set()


async def test_reconnect_receives_the_missed_messages() -> None:
    for text in ("one", "two", "three"):
        await say(text)

    assert await listen(2, last="1") == [("2", "two"), ("3", "three")]
    assert len(await listen(3, last="no id of ours")) == 3


async def test_room_keeps_the_last_messages_only(room: chat.Room) -> None:
    for number in range(150):
        room.publish(str(number))

    assert len(room.messages) == chat.HISTORY
    assert (await listen(chat.HISTORY))[0] == ("51", "50")


async def test_slow_listener_is_disconnected(room: chat.Room) -> None:
    listening: AsyncIterator[Any] = room.subscribe(None)
    room.publish("first")
    assert (await anext(listening)).id == "1"

    for number in range(chat.QUEUE_SIZE + 2):
        room.publish(str(number))

    # The queued messages arrive, then the stream ends. The client reconnects for the rest.
    assert room.subscribers == set()
    assert [event.id async for event in listening][-1] == str(1 + chat.QUEUE_SIZE)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"text=", 400), (b"text=" + b"x" * 1001, 400), (b"text=" + b"x" * 9000, 413)],
)
async def test_invalid_message_is_refused(body: bytes, status: int, room: chat.Room) -> None:
    answer = await exchange(chat.app, "POST", "/say", headers=FORM, body=body)

    assert answer.status_code == status
    assert not room.messages


async def test_full_room_refuses_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "MAX_SUBSCRIBERS", 0)

    assert (await exchange(chat.app, target="/events")).headers["retry-after"] == "10"
    assert (await exchange(chat.app, target="/nowhere")).status_code == 404
