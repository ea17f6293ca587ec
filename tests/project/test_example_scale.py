"""The demo on several processes, all of which send the same responses."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.servers.harness import Server, Setup, free_port, require, until
from tests.servers.test_shutdown import HARMLESS
from tests.support.form_bodies import CONTENT_TYPE, body, file
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

SCALE = ROOT / "examples" / "scale"

SETUPS = (
    Setup(
        "uvicorn",
        ("uvicorn",),
        ("uvicorn", "{app}", "--workers=2", "--port={port}", "--timeout-graceful-shutdown=8"),
    ),
    Setup(
        "gunicorn",
        ("gunicorn", "uvicorn_worker"),
        ("gunicorn", "-c", str(SCALE / "gunicorn_conf.py"), "--bind=127.0.0.1:{port}", "{app}"),
    ),
    Setup("granian", ("granian",), ("examples.scale.granian_workers", "{port}")),
)

# The number of connections after which each worker has received one.
TIMES = 12

# The program ends when its input ends, and ends the processes that it started.
RAY = """
import sys
import ray
from ray import serve
ray.init(num_cpus=3, include_dashboard=False, _temp_dir=sys.argv[2])
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
from examples.scale.ray_serve import demo
from tests.servers.served.shutdown import app
class Stoppable: pass
stoppable = serve.deployment(serve.ingress(app)(Stoppable)).bind()
serve.run(stoppable, name="stoppable", route_prefix="/stoppable")
serve.run(demo)
print("ready", flush=True)
sys.stdin.read()
serve.shutdown()
ray.shutdown()
"""


@pytest.fixture(scope="module", params=SETUPS, ids=[setup.name for setup in SETUPS])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of the demo on two workers, which leave no file."""
    folder = tmp_path_factory.mktemp(request.param.name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKERS", "2")
        with Server(request.param, "examples.demo:app", folder) as server:
            made = folder / "tmp"
            until(lambda: len([*made.glob("asgikit-demo-*/lines.txt")]) == 2, "second worker", 30)
            yield f"http://127.0.0.1:{server.port}"
            assert server.stop()
    assert [line for line in server.problems if not HARMLESS.search(line)] == []
    assert [*made.glob("asgikit-demo-*")] == []


def test_processes_send_equal_etags(url: str) -> None:
    for path in ("/", "/poem", "/tune.wav", "/lines.txt"):
        assert len({httpx.head(url + path).headers["etag"] for _ in range(TIMES)}) == 1


def test_download_resumes_in_any_process(url: str) -> None:
    tag = httpx.head(f"{url}/lines.txt").headers["etag"]
    headers = {"range": "bytes=320-351", "if-range": tag}
    answers = [httpx.get(f"{url}/lines.txt", headers=headers) for _ in range(TIMES)]

    assert {(answer.status_code, answer.text[:7]) for answer in answers} == {(206, "0000011")}


def test_events_resume_in_any_process(url: str) -> None:
    check_events(url)


def check_events(url: str) -> None:
    ids: list[str] = []
    while len(ids) < 15:
        headers = {"last-event-id": ids[-1]} if ids else {}
        ids += re.findall(
            "^id: (.*)$", httpx.get(f"{url}/events", headers=headers).text, re.MULTILINE
        )
    assert ids == [str(number) for number in range(1, 16)]
    assert httpx.get(f"{url}/events", headers={"last-event-id": "30"}).status_code == 204


def test_concurrent_uploads_are_hashed(url: str) -> None:
    check_uploads(url)


def check_uploads(url: str) -> None:
    datas = [os.urandom(1_000_000) for _ in range(TIMES)]

    async def send() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=60) as client:
            posts = [client.post(f"{url}/upload", files={"f": ("a", data)}) for data in datas]
            return await asyncio.gather(*posts)

    hashes = [answer.json()["files"][0]["sha256"] for answer in asyncio.run(send())]
    assert hashes == [hashlib.sha256(data).hexdigest() for data in datas]


def test_cookie_is_valid_in_each_process(url: str) -> None:
    cookies = dict(httpx.get(f"{url}/cookie?name=Ada").cookies)
    read = [httpx.get(f"{url}/cookie", cookies=cookies).text for _ in range(TIMES)]

    assert set(read) == {"Old cookie: Ada\nNew cookie: visitor\n"}


@pytest.fixture
def ray_url(tmp_path: Path) -> Iterator[str]:
    """Return the URL of the demo on two replicas."""
    pytest.importorskip("ray", reason="Ray is 200 MB: it is installed where it is wanted")
    port = free_port()
    # The path of a socket has at most 107 bytes, and the folders of pytest are longer.
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        environment = {
            **os.environ,
            "HOME": str(tmp_path),
            "PYTHONPATH": str(ROOT),
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        with subprocess.Popen(
            [sys.executable, "-c", RAY, str(port), folder],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            assert b"ready\n" in iter(process.stdout.readline, b"")
            yield f"http://127.0.0.1:{port}"
            process.communicate()


def test_replicas_of_ray_serve_respond(ray_url: str) -> None:
    check_shutdown(f"{ray_url}/stoppable")
    check_events(ray_url)
    check_uploads(ray_url)
    assert len({httpx.head(f"{ray_url}/tune.wav").headers["etag"] for _ in range(TIMES)}) == 1
    with httpx.stream("GET", f"{ray_url}/stream") as stream:
        assert len(list(stream.iter_raw())) == 6  # no proxy joins the chunks


def check_shutdown(url: str) -> None:
    """Check that a call of ``set()`` ends a stream, in a replica that gets no signal."""
    assert httpx.get(f"{url}/ready").status_code == 200
    with httpx.stream("GET", f"{url}/events", timeout=20) as stream:
        lines = stream.iter_lines()
        assert any(line.startswith("data: ") for line in lines)
        assert httpx.post(f"{url}/stop").text == "stopping"
        assert "data: bye" in list(lines)  # httpx raises an error if the last chunk is missing
    assert httpx.get(f"{url}/ready").status_code == 503


@pytest.fixture
def handler() -> Iterator[Any]:
    """Return the function, with the event loop that it needs."""
    require("mangum")
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    from examples import demo

    yield importlib.import_module("examples.scale.aws_lambda").handler
    if demo.media.cache_info().currsize:
        demo.media().close()
    demo.media.cache_clear()
    loop.run_until_complete(loop.shutdown_default_executor())
    asyncio.set_event_loop(None)
    loop.close()


def event(method: str, path: str, data: bytes = b"", **headers: str) -> dict[str, Any]:
    """Return an event of the HTTP API of API Gateway, in payload format 2.0."""
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"}
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
        "requestContext": {"http": http, "stage": "$default"},
        "isBase64Encoded": True,
        "body": base64.b64encode(data).decode(),
    }


# Bytes of the JSON that a function may return.
LAMBDA_LIMIT = 6 * 1024 * 1024


def test_each_response_fits_into_the_limit_of_lambda(handler: Any) -> None:
    for path in ("/tune.wav", "/lines.txt", "/"):
        answer = handler(event("GET", path), None)
        assert answer["statusCode"] == 200
        assert len(json.dumps(answer)) < LAMBDA_LIMIT, path


def test_gunicorn_workers_stop_before_they_are_killed() -> None:
    require("gunicorn", "uvicorn_worker")
    conf = importlib.import_module("examples.scale.gunicorn_conf")
    seconds = conf.Worker.CONFIG_KWARGS["timeout_graceful_shutdown"]

    assert seconds < conf.graceful_timeout < conf.timeout


def test_lambda_function_responds(handler: Any) -> None:
    poem = handler(event("GET", "/poem"), None)
    again = handler(event("GET", "/poem", if_none_match=poem["headers"]["etag"]), None)
    lines = handler(event("GET", "/lines.txt", range="bytes=0-31"), None)
    teapot = handler(event("GET", "/teapot"), None)
    sent = body(file("f", "a", b"data"))
    upload = handler(event("POST", "/upload", sent, content_type=CONTENT_TYPE), None)

    assert "The tag you hold" in poem["body"]
    assert (again["statusCode"], again["body"]) == (304, "")
    assert (lines["statusCode"], lines["body"][:7]) == (206, "0000001")
    assert teapot["headers"]["content-type"] == "application/problem+json"
    assert hashlib.sha256(b"data").hexdigest() in upload["body"]


def test_commands_equal_those_in_the_files() -> None:
    readme = (SCALE / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"`((?:gunicorn -|python|serve run) ?[^`]+)`", readme)
    sources = [path.read_text(encoding="utf-8") for path in SCALE.glob("*.py")]

    assert len(commands) == 3
    assert "`uvicorn examples.demo:app --workers 4 --timeout-graceful-shutdown 8`" in readme
    for command in commands:
        assert any(f"\n{command}\n" in source for source in sources), command
    assert "examples.scale.aws_lambda.handler" in readme
