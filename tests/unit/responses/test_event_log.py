"""Event logs: streams that clients resume without losing or repeating an event."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from asgikit import (
    EventLog,
    EventSourceResponse,
    HTTPError,
    Request,
    Response,
    ServerSentEvent,
    request_response,
)
from asgikit.responses import event_storage
from asgikit.responses.event_storage import MemoryStorage
from asgikit.testing import exchange
from tests.support.streams import Client, run_cancelled_at
from tests.support.waiting import BOUND, until
from tests.unit.http.test_event_stream import Client as EventSource

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

pytestmark = pytest.mark.anyio

EXPIRED = ServerSentEvent("forget all", event="expired")
SECRET = b"a secret of 24 bytes ..."


class Clock:
    """The time of the storage, which a test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(event_storage, "time", clock)
    return clock


async def fill(log: EventLog, *texts: str, owner: str | None = None) -> list[str]:
    """Append events and return their ids."""
    return [await log.append(text, owner) for text in texts]


async def take(events: AsyncGenerator[ServerSentEvent], number: int) -> list[Any]:
    """Return the data of the next events, and close the iterator."""
    found = [(await anext(events)).data for _ in range(number)]
    await events.aclose()
    return found


async def read_all(log: EventLog, last: str | None = None, **arguments: Any) -> list[Any]:
    """Return the data of all events of a closed stream."""
    return [event.data async for event in log.follow(last, expired=EXPIRED, **arguments)]


# --- append and follow ---------------------------------------------------------------------------


async def test_follower_gets_kept_events_then_new_ones_until_close() -> None:
    log = EventLog()
    await fill(log, "a", "b")
    found: list[Any] = []

    async def follow() -> None:
        found.extend(await read_all(log))

    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        group.start_soon(follow)
        for _ in range(10):
            await checkpoint()
        await fill(log, "c")
        await log.close()

    assert sorted(found) == ["a", "a", "b", "b", "c", "c"]
    assert await read_all(log) == ["a", "b", "c"]


async def test_follower_before_first_event_gets_it() -> None:
    log = EventLog()
    found: list[Any] = []

    async def follow() -> None:
        found.extend(await read_all(log, owner="ann"))

    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        for _ in range(10):
            await checkpoint()
        await fill(log, "a", owner="ann")
        await log.close("ann")

    assert found == ["a"]


async def test_event_keeps_its_fields_and_gets_an_id() -> None:
    log = EventLog()
    events = [
        ServerSentEvent("text\nof lines"),
        ServerSentEvent({"n": 2**60}, event="json"),
        ServerSentEvent("é".encode(), retry=5),
        ServerSentEvent(event="none", comment="hi"),
        ServerSentEvent(retry=7),
    ]
    ids = [await log.append(event) for event in events]
    await log.close()

    followed = [event async for event in log.follow()]

    assert [event.id for event in followed] == ids
    assert len(set(ids)) == len(ids)
    for event, copy in zip(events, followed, strict=True):
        id_ = f"id: {copy.id}\n".encode()
        assert sorted((id_ + event.encode()).split(b"\n")) == sorted(
            copy.encode().split(b"\n")
        ) or (event.encode() == b"retry: 7\n")


async def test_id_resumes_after_its_event() -> None:
    log = EventLog()
    ids = await fill(log, "a", "b", "c")
    await log.close()

    assert [await read_all(log, last) for last in ids] == [["b", "c"], ["c"], []]
    assert await read_all(log, "") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("event", "error", "message"),
    [
        (ServerSentEvent("a", id="1"), ValueError, "without one"),
        ({"data": "a"}, TypeError, "wrap data such as a dict in ServerSentEvent"),
        (ServerSentEvent(object()), TypeError, "JSON cannot hold object"),
        ("x" * 10_000, ValueError, "exceeds max_bytes"),
    ],
)
async def test_append_of_wrong_event_raises(event: Any, error: type, message: str) -> None:
    log = EventLog(max_bytes=10_000)

    with pytest.raises(error, match=message):
        await log.append(event)
    assert await log.append("fits")


@pytest.mark.parametrize("limit", ["max_events", "max_bytes", "ttl"])
def test_limit_that_is_not_positive_raises(limit: str) -> None:
    arguments: dict[str, Any] = {limit: 0}
    with pytest.raises(ValueError, match="must be positive"):
        EventLog(**arguments)


def test_storage_needs_a_long_secret() -> None:
    storage = MemoryStorage(10, 10_000, 1)

    with pytest.raises(ValueError, match="needs secret="):
        EventLog(storage=storage)
    with pytest.raises(ValueError, match="at least 16 bytes"):
        EventLog(storage=storage, secret=b"short")


async def test_owner_of_another_type_raises() -> None:
    log = EventLog()
    owner: Any = 7

    with pytest.raises(TypeError, match="owner must be a str, not int"):
        log.follow(None, owner)
    with pytest.raises(TypeError, match="owner must be a str"):
        await log.append("a", owner)


async def test_closed_stream_refuses_events_and_ignores_second_close() -> None:
    log = EventLog(max_events=1)
    await fill(log, "a")
    await log.close()
    await log.close()

    with pytest.raises(RuntimeError, match="was closed"):
        await log.append("b")
    assert await read_all(log) == ["a"]


async def test_closed_stream_is_complete_after_its_last_event() -> None:
    log = EventLog()
    first, last = await fill(log, "a", "b")

    assert not await log.is_complete(last)
    await log.close()
    complete = [await log.is_complete(id_) for id_ in (None, "", "unknown", first, last)]
    assert complete == [False, False, False, False, True]
    assert not await log.is_complete(last, owner="ann")
    await log.close("ann")
    assert await log.is_complete(None, owner="ann")  # nothing was ever appended


# --- ids that do not resume ----------------------------------------------------------------------


async def test_owner_follows_only_own_stream_with_any_id() -> None:
    log = EventLog()
    of_ann = await fill(log, "secret 1", "secret 2", owner="ann")
    of_bob = await fill(log, "b 1", "b 2", owner="bob")
    public = await fill(log, "p 1")
    for owner in ("ann", "bob", None):
        await log.close(owner)

    for id_ in [*of_ann, *public]:
        assert await read_all(log, id_, owner="bob") == ["forget all", "b 1", "b 2"]
    for id_ in [*of_ann, *of_bob]:
        assert await read_all(log, id_) == ["forget all", "p 1"]
    assert await read_all(log, of_ann[0], owner="ann") == ["secret 2"]


async def test_id_of_another_log_is_unknown() -> None:
    one, other = EventLog(), EventLog()
    ids = await fill(one, "a", "b")
    await fill(other, "c", "d")
    await other.close()

    for id_ in ids:
        assert await read_all(other, id_) == ["forget all", "c", "d"]


@given(st.text(), st.text())
async def test_text_that_is_no_id_is_unknown(start: str, end: str) -> None:
    log = EventLog()
    (id_,) = await fill(log, "a")
    await log.close()

    position, _, tag = id_.partition(".")
    for text in (start, f"{position}.{end}", f"{start}{id_}", f"{start}.{tag}", f"{id_}{end}"):
        if text not in {"", id_}:
            assert await read_all(log, text) == ["forget all", "a"]


@pytest.mark.parametrize("id_", ["\ud800", "é", "1.é", "." * 10_000, "\0"])
async def test_unusual_id_is_unknown(id_: str) -> None:
    log = EventLog()
    await log.close()

    assert await read_all(log, id_) == ["forget all"]


async def test_unknown_id_without_event_for_it_raises_410() -> None:
    with pytest.raises(HTTPError) as caught:
        await anext(EventLog().follow("unknown"))

    assert caught.value.status_code == 410

    @request_response
    async def app(request: Request) -> Response:
        return EventSourceResponse(EventLog().follow(request.last_event_id), wait_first=True)

    answer = await exchange(app, headers={"last-event-id": "unknown"})
    assert answer.status_code == 410


async def test_position_that_storage_does_not_have_is_unknown() -> None:
    # After a restart with the same secret, the memory is empty or holds a new stream.
    log, restarted = (
        EventLog(storage=MemoryStorage(10, 10_000, 1), secret=SECRET) for _ in range(2)
    )
    (id_,) = await fill(log, "a")

    assert await take(restarted.follow(id_, expired=EXPIRED), 1) == ["forget all"]
    await fill(restarted, "b")
    await restarted.close()
    assert await read_all(restarted, id_) == ["forget all", "b"]


# --- limits --------------------------------------------------------------------------------------


async def test_id_before_dropped_event_has_expired() -> None:
    log = EventLog(max_events=2)
    ids = await fill(log, "a", "b", "c", "d")
    await log.close()

    assert [await read_all(log, id_) for id_ in ids] == [
        ["forget all", "c", "d"],
        ["c", "d"],  # no event after it was dropped
        ["d"],
        [],
    ]
    assert await read_all(log) == ["c", "d"]


async def test_events_expire_after_ttl(clock: Clock) -> None:
    log = EventLog(ttl=10)
    first, _ = await fill(log, "a", "b")
    await fill(log, "other", owner="ann")
    clock.now += 6
    (third,) = await fill(log, "c")
    clock.now += 6
    await fill(log, "d")
    await log.close()

    assert await read_all(log, first) == ["forget all", "c", "d"]
    assert await read_all(log, third) == ["d"]
    assert await take(log.follow(first, "ann", expired=EXPIRED), 1) == ["forget all"]


async def test_client_of_expired_stream_learns_whether_it_has_missed_events(clock: Clock) -> None:
    log = EventLog(ttl=10)
    first, last = await fill(log, "a", "b")
    clock.now += 11
    assert not await log.is_complete(last)
    with anyio.move_on_after(0):
        assert await read_all(log, last)

    await fill(log, "c")
    await log.close()

    assert await read_all(log, last) == ["c"]
    assert await read_all(log, first) == ["forget all", "c"]


async def test_closed_stream_stays_closed_after_its_events_have_expired(clock: Clock) -> None:
    log = EventLog(ttl=10)
    first, last = await fill(log, "a", "b")
    await log.close()
    clock.now += 11

    assert await read_all(log) == []
    assert await read_all(log, last) == []
    assert [event async for event in log.follow(first, expired=EXPIRED)] == [
        ServerSentEvent("forget all", event="expired", id="")
    ]
    with pytest.raises(RuntimeError, match="was closed"):
        await log.append("c")
    # A client that has all events, or that is to forget its id, gets a 204 next time.
    complete = [await log.is_complete(id_) for id_ in (None, first, last)]
    assert complete == [True, False, True]


async def test_expired_event_of_app_keeps_its_id() -> None:
    log = EventLog()
    await log.close()
    expired = ServerSentEvent("forget", id="mine")

    assert [event async for event in log.follow("unknown", expired=expired)] == [expired]


async def test_follower_that_reads_expired_events_late_ends(clock: Clock) -> None:
    log = EventLog(ttl=10)
    await fill(log, *"x" * 100)
    events = log.follow()
    first = await anext(events)
    clock.now += 11

    assert [event async for event in events] == []
    assert await take(log.follow(first.id, expired=EXPIRED), 1) == ["forget all"]


async def test_memory_of_closed_and_expired_streams_is_bounded(clock: Clock) -> None:
    log = EventLog(ttl=10, max_bytes=50_000)
    for number in range(1000):
        await fill(log, "a", owner=str(number))
        await log.close(str(number))
        clock.now += 11

    storage: Any = log._storage
    assert 10 < len(storage._streams) < 50_000 / 1200
    assert await read_all(log, owner="999") == []


async def test_waiting_follower_keeps_its_position_while_events_expire(clock: Clock) -> None:
    log = EventLog(ttl=10)
    await fill(log, "a")
    found: list[Any] = []

    async def follow() -> None:
        found.extend(await read_all(log))

    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        for _ in range(10):
            await checkpoint()
        clock.now += 11
        await fill(log, "b")
        await log.close()

    assert found == ["a", "b"]


async def test_stream_without_new_events_is_dropped_first() -> None:
    log = EventLog(max_bytes=50_000)
    await fill(log, "x" * 10_000, owner="idle")
    await fill(log, "x" * 10_000, owner="busy")
    for _ in range(3):
        await fill(log, "y" * 10_000, owner="busy")
        await log.append("z", owner="third")

    for owner, kept in {"idle": [], "busy": ["x", "y", "y", "y"], "third": ["z"] * 3}.items():
        await log.close(owner)
        assert [text[0] for text in await read_all(log, owner=owner)] == kept


@pytest.mark.parametrize(
    ("size", "owners"),
    [
        pytest.param(0, 1, id="empty events of one stream"),
        pytest.param(20_000, 7, id="large events"),
        pytest.param(10, 10**9, id="a stream for each event"),
    ],
)
async def test_memory_is_bounded_by_max_bytes(size: int, owners: int) -> None:
    limit = 1_000_000
    log = EventLog(max_events=10**9, max_bytes=limit)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(2000):
            await log.append("x" * size + str(number), owner=f"owner {number % owners}")
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert used <= limit


async def test_unknown_owners_take_no_memory() -> None:
    log = EventLog()
    storage: Any = log._storage

    for number in range(100):
        with anyio.move_on_after(0):
            await read_all(log, owner=str(number))
        async with anyio.create_task_group() as group:
            group.start_soon(anext, log.follow(owner=str(number)))
            await until(lambda: storage._appended)
            group.cancel_scope.cancel()

    gc.collect()  # errors of cancelled tasks refer to their frames
    # There is no public view of this memory.
    assert not storage._streams
    assert not storage._appended


async def test_slow_follower_ends_and_its_id_has_expired() -> None:
    log = EventLog(max_events=3)
    await fill(log, "a", "b")
    events = log.follow()
    first = await anext(events)

    await fill(log, "c", "d", "e", "f")

    assert (first.data, [event async for event in events]) == ("a", [])  # "b" was dropped
    await log.close()
    assert await read_all(log, first.id) == ["forget all", "d", "e", "f"]


async def test_producer_that_never_waits_leaves_no_follower_behind() -> None:
    log = EventLog(max_events=10)
    found: list[Any] = []

    async def follow() -> None:
        found.extend(await read_all(log))

    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        await until(lambda: log._storage._appended)  # type: ignore[attr-defined] # it waits
        await fill(log, *map(str, range(1000)))
        await log.close()

    assert found == [*map(str, range(1000))]


async def test_wait_returns_at_once_if_there_is_an_event() -> None:
    # A storage of several processes may get an event between a read and the wait.
    storage = MemoryStorage(10, 10_000, 1)
    first = await storage.append("key", b"a")
    await storage.append("key", b"b")

    with anyio.fail_after(BOUND):
        await storage.wait("key", None)
        await storage.wait("key", first)


# --- cancellation --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["scope", "task"])
async def test_cancelled_follower_loses_and_repeats_no_event(how: str, anyio_backend: str) -> None:
    if (how, anyio_backend) == ("task", "trio"):
        pytest.skip("Trio cancels scopes only")
    at = 1
    is_cancelled = True
    while is_cancelled:
        log = EventLog()
        received: list[ServerSentEvent] = []

        async def work(log: EventLog = log, received: list[ServerSentEvent] = received) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(fill, log, *"abcdef")
                events = log.follow()
                try:
                    while len(received) < 6:
                        received.append(await anext(events))
                finally:
                    await events.aclose()

        is_cancelled = await run_cancelled_at(at, work(), how)
        at += 1
        last = received[-1].id if received else None
        await log.close()
        kept = await read_all(log)
        assert kept == [*"abcdef"][: len(kept)]
        assert [event.data for event in received] + await read_all(log, last) == kept
    assert at > 3  # on Trio, whose order is random, 4 or more


async def test_response_ends_with_client_and_leaves_nothing() -> None:
    log = EventLog()
    await fill(log, "a")
    client = Client(disconnect_after=3)

    await client.get(EventSourceResponse(log.follow()))

    storage: Any = log._storage
    # There is no public view of the followers that wait.
    assert (b"data: a\n\n" in client.body, len(storage._appended)) == (True, 0)


# --- every cut -----------------------------------------------------------------------------------

TEXTS = ["one", "", "two\nlines", "žluťoučký 🐎", "\r\n\r\n", "data: evil\n\nid: evil\n\n"]


async def serve(log: EventLog, last: str | None) -> bytes:
    """Return the whole body of one response."""
    return (await exchange(EventSourceResponse(log.follow(last, expired=EXPIRED)))).body


async def receive_with_cuts(log: EventLog, cuts: Sequence[int]) -> list[str]:
    """Return the data of the events that a client dispatches.

    Connection number ``n`` is cut after ``cuts[n]`` bytes, modulo the size of the response. The
    last connection is whole.
    """
    found: list[str] = []
    last = ""
    for cut in [*cuts, None]:
        body = await serve(log, last)
        client = EventSource(body if cut is None else body[: cut % (len(body) + 1)])
        found += [event.data for event in client.events]
        last = client.last_event_id or last
    return found


async def test_client_cut_at_each_byte_receives_each_event_once() -> None:
    log = EventLog()
    await fill(log, *TEXTS)
    await log.close()
    whole = [event.data for event in EventSource(await serve(log, None)).events]

    assert len(whole) == len(TEXTS)
    for cut in range(len(await serve(log, None)) + 1):
        assert await receive_with_cuts(log, [cut]) == whole, cut


@pytest.mark.property
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), max_size=6),
    st.lists(st.integers(0, 500), max_size=4),
)
async def test_client_cut_anywhere_receives_each_event_once(
    texts: list[str], cuts: list[int]
) -> None:
    log = EventLog()
    await fill(log, *texts)
    await log.close()
    whole = [event.data for event in EventSource(await serve(log, None)).events]

    assert len(whole) == len(texts)
    assert await receive_with_cuts(log, cuts) == whole


async def _read_rest(
    storage: MemoryStorage, key: str, position: str | None
) -> list[tuple[str, bytes]] | None:
    """Return all events after a position; ``None`` if one was dropped."""
    found: list[tuple[str, bytes]] = []
    while events := await storage.read(key, position):
        found += events
        position = found[-1][0]
    return None if events is None else found


@pytest.mark.property
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2500)), max_size=15),
    st.integers(1, 5),
    st.integers(4_500, 12_000),
)
async def test_storage_keeps_last_events_with_any_appends_and_limits(
    appends: list[tuple[str, int]], max_events: int, max_bytes: int
) -> None:
    """A position is read from only if no event after it was dropped."""
    storage = MemoryStorage(max_events, max_bytes, 3600)
    appended: dict[str, list[tuple[str, bytes]]] = {"a": [], "b": []}
    for number, (key, size) in enumerate(appends):
        event = b"%d %s" % (number, b"x" * size)
        appended[key].append((await storage.append(key, event), event))
    for key, stored in appended.items():
        kept = await _read_rest(storage, key, None)
        assert kept is not None
        assert len(kept) <= max_events
        assert kept == stored[len(stored) - len(kept) :]
        for missed, (position, _) in enumerate(reversed(stored)):
            rest = await _read_rest(storage, key, position)
            # The position of a dropped event is known if the stream was never empty meanwhile.
            if missed < len(kept) or rest is not None:
                assert rest == kept[len(kept) - missed :]
            assert rest is None or missed <= len(kept)
