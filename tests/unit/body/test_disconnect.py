"""``request.cancel_on_disconnect()``: the block is cancelled, and no byte of the body is lost."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asgikit import Request
from asgikit.body.receiver import READ_AHEAD
from asgikit.exceptions import ClientDisconnect
from asgikit.types import Message
from tests.support.clients import BodyClient as Client
from tests.support.streams import Boom
from tests.support.waiting import BOUND, until

pytestmark = pytest.mark.anyio

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])

LEFT: Message = {"type": "http.disconnect"}
EMPTY: Message = {"type": "http.request"}


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def make_request(client: Client) -> Request:
    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, client.receive)


def tasks(backend: str) -> int:
    """Return the number of tasks of the event loop."""
    if backend == "asyncio":
        return len(asyncio.all_tasks())
    import trio

    return trio.lowlevel.current_statistics().tasks_living


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail the test if asyncio logs an unfinished task or an error that was never retrieved."""
    yield
    gc.collect(1)
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def run(request: Request, block: Callable[[], Awaitable[object]]) -> None:
    """Run ``block`` until the client disconnects."""
    with anyio.fail_after(BOUND):
        async with request.cancel_on_disconnect():
            await block()


async def wait_forever(client: Client) -> None:
    client.send(LEFT)
    await anyio.sleep_forever()


async def wait_in_task_group(client: Client) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(wait_forever, client)
        group.start_soon(anyio.sleep_forever)


async def suppress_cancellation(client: Client) -> None:
    try:
        await wait_forever(client)
    except anyio.get_cancelled_exc_class():
        pass


async def finish_shielded(client: Client) -> None:
    with anyio.CancelScope(shield=True):
        client.send(LEFT)
        await until(lambda: not client.messages and not client.in_flight)
        for _ in range(5):
            await checkpoint()


async def time_out_outside(client: Client) -> None:
    with anyio.fail_after(BOUND):
        await wait_forever(client)


@pytest.mark.parametrize(
    "block",
    [
        wait_forever,
        wait_in_task_group,
        time_out_outside,
        suppress_cancellation,  # the client has disconnected nevertheless
        finish_shielded,
    ],
)
@pytest.mark.parametrize("before", [[], [EMPTY], [part(b"ab")]], ids=["none", "whole", "part"])
async def test_block_raises_client_disconnect_when_client_disconnects(
    block: Callable[[Client], Awaitable[None]], before: list[Message]
) -> None:
    client = Client(*before)
    request = make_request(client)
    with pytest.raises(ClientDisconnect, match="the client disconnected"):
        await run(request, partial(block, client))
    await checkpoint()  # the task is not cancelled any more
    await request.close()


async def test_shielded_part_of_the_block_is_completed() -> None:
    client = Client()
    steps: list[str] = []

    async def block() -> None:
        await finish_shielded(client)
        steps.append("shielded")
        await checkpoint()
        steps.append("unshielded")

    with pytest.raises(ClientDisconnect):
        await run(make_request(client), block)
    assert steps == ["shielded"]


@pytest.mark.parametrize("waits", [False, True])
async def test_block_that_ends_before_the_disconnect_raises_nothing(waits: bool) -> None:
    client = Client(EMPTY)
    request = make_request(client)
    async with request.cancel_on_disconnect():
        if waits:
            await until(lambda: client.in_flight)
    client.send(LEFT)
    with anyio.fail_after(BOUND):
        await request.wait_disconnected()
        await checkpoint()
        await request.close()


@pytest.mark.parametrize("is_disconnected", [False, True])
async def test_error_of_the_block_is_raised_unchanged(is_disconnected: bool) -> None:
    client = Client()
    error = Boom()

    async def block() -> None:
        try:
            if is_disconnected:
                await wait_forever(client)
        finally:
            raise error

    with pytest.raises(Boom) as raised:
        await run(make_request(client), block)
    assert raised.value is error


async def test_error_of_receive_cancels_the_block_and_is_raised() -> None:
    async def receive() -> Message:
        await checkpoint()
        raise Boom

    request = Request({"type": "http", "headers": []}, receive)
    with pytest.raises(Boom):
        await run(request, anyio.sleep_forever)


@pytest.mark.parametrize("is_disconnected", [False, True])
async def test_outer_scope_cancelled_takes_precedence(is_disconnected: bool) -> None:
    client = Client()
    with anyio.CancelScope() as outer:
        async with make_request(client).cancel_on_disconnect():
            if is_disconnected:
                await finish_shielded(client)
            outer.cancel()
            await anyio.sleep_forever()
    assert outer.cancelled_caught
    await checkpoint()


@on_asyncio
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 5, None])
async def test_task_cancelled_natively_is_cancelled_at_any_time(turns: int | None) -> None:
    client = Client(EMPTY)

    async def work() -> None:
        async with make_request(client).cancel_on_disconnect():
            await anyio.sleep_forever()

    task = asyncio.create_task(work())
    await until(lambda: client.in_flight)
    if turns is not None:
        client.send(LEFT)
        for _ in range(turns):
            await checkpoint()
    if task.done():  # the disconnect was first
        with pytest.raises(ClientDisconnect):
            await task
        return
    task.cancel()
    await asyncio.wait([task], timeout=BOUND)
    assert task.cancelled()
    assert task.cancelling() == 1


@on_asyncio
async def test_disconnect_within_asyncio_timeout_is_no_timeout() -> None:
    client = Client()

    async def block() -> None:
        async with asyncio.timeout(BOUND), asyncio.TaskGroup() as group:
            group.create_task(wait_forever(client))

    with pytest.raises(ClientDisconnect):
        async with asyncio.timeout(BOUND):
            await run(make_request(client), block)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_timeout_within_the_block_is_raised() -> None:
    async def block() -> None:
        with anyio.fail_after(0.001):
            await anyio.sleep_forever()

    with pytest.raises(TimeoutError):
        await run(make_request(Client()), block)


async def test_nested_blocks_are_both_cancelled() -> None:
    client = Client()
    request = make_request(client)
    steps: list[str] = []

    async def block() -> None:
        try:
            await run(request, partial(wait_forever, client))
        finally:
            steps.append("inner")
        steps.append("outer")

    with pytest.raises(ClientDisconnect):
        await run(request, block)
    assert steps == ["inner"]


async def test_inner_block_that_ends_leaves_the_outer_one_watched() -> None:
    client = Client(EMPTY)
    request = make_request(client)

    async def block() -> None:
        await run(request, lambda: until(lambda: client.in_flight))
        await wait_forever(client)

    with pytest.raises(ClientDisconnect):
        await run(request, block)


async def test_blocks_in_two_tasks_are_both_cancelled() -> None:
    client = Client(EMPTY)
    request = make_request(client)
    ends: list[type[BaseException]] = []

    async def work() -> None:
        try:
            await run(request, anyio.sleep_forever)
        except ClientDisconnect as error:
            ends.append(type(error))

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            group.start_soon(work)
            await until(lambda: client.in_flight)
            client.send(LEFT)
    assert ends == [ClientDisconnect] * 2
    assert client.max_in_flight == 1


@pytest.mark.parametrize("checkpoints", [0, 1, 3])
@pytest.mark.parametrize("method", ["body", "stream", "replay"])
async def test_body_read_within_and_after_the_block_is_complete(
    method: str, checkpoints: int
) -> None:
    chunks = [b"%d," % number for number in range(50)]
    client = Client(*map(part, chunks), part(b"", more=False), checkpoints=checkpoints)
    request = make_request(client)
    data = b""
    with anyio.fail_after(BOUND):
        async with request.cancel_on_disconnect():
            for _ in range(5):
                await checkpoint()
        if method == "body":
            async with request.cancel_on_disconnect():
                data = await request.body()
        elif method == "stream":
            stream = request.stream()
            async with request.cancel_on_disconnect():
                data = await anext(stream)
            async for chunk in stream:
                data += chunk
        else:
            receive = request.replay()
            async with request.cancel_on_disconnect():
                while (message := await receive())["more_body"]:
                    data += message["body"]
                # The last chunk may come with the end of the body.
                data += message["body"]
        await request.close()
    assert data == b"".join(chunks)
    assert client.max_in_flight == 1


async def test_unread_body_is_read_ahead_up_to_1_mib() -> None:
    chunk = b"x" * 100_000
    client = Client(*[part(chunk) for _ in range(50)], part(b"end", more=False), LEFT)
    request = make_request(client)

    async def block() -> None:
        await until(lambda: client.delivered * len(chunk) >= READ_AHEAD)
        for _ in range(20):
            await checkpoint()
        assert client.delivered == READ_AHEAD // len(chunk) + 1
        assert await request.body() == chunk * 50 + b"end"
        # The watch goes on, and finds the disconnect behind the body.
        await anyio.sleep_forever()

    with pytest.raises(ClientDisconnect):
        await run(request, block)


async def test_reader_within_the_block_raises_client_disconnect() -> None:
    client = Client(part(b"ab"))
    request = make_request(client)

    async def block() -> None:
        client.send(LEFT)
        await request.body()

    with pytest.raises(ClientDisconnect):
        await run(request, block)


async def test_block_watches_a_body_that_was_read_at_once() -> None:
    client = Client(part(b"[1]", more=False))
    request = make_request(client)
    assert await request.json() == [1]
    with pytest.raises(ClientDisconnect):
        await run(request, partial(wait_forever, client))
    assert await request.body() == b"[1]"


@pytest.mark.parametrize("end", ["normal", "error", "disconnect", "cancelled"])
async def test_block_leaves_no_task_after_each_end(end: str, anyio_backend_name: str) -> None:
    client = Client(EMPTY)
    request = make_request(client)
    before = tasks(anyio_backend_name)
    with anyio.CancelScope() as outer:
        try:
            async with request.cancel_on_disconnect():
                await until(lambda: client.in_flight)
                if end == "error":
                    raise Boom
                if end == "disconnect":
                    await wait_forever(client)
                if end == "cancelled":
                    outer.cancel()
                    await checkpoint()
        except (Boom, ClientDisconnect):
            pass
    await request.close()
    assert tasks(anyio_backend_name) == before


async def test_block_of_a_request_without_receive_raises() -> None:
    request = Request({"type": "http", "headers": []})
    with pytest.raises(RuntimeError, match="from a scope alone"):
        request.cancel_on_disconnect()
