"""The README does what it says: its programs run, its commands and numbers are right."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from asgikit import Limits
from asgikit.testing import exchange
from examples import demo

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
UNITS = {"": 1, "MiB": 1024 * 1024, "s": 1}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def run(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(source, "README.md", "exec"), names)
    return names


def snippet(part: str) -> dict[str, Any]:
    return run(next(source for source in blocks("python") if part in source))


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_every_program_runs(number: int) -> None:
    assert "app" in run(blocks("python")[number])


@pytest.mark.anyio
async def test_the_first_app_greets() -> None:
    app = snippet('"hello"')["app"]

    assert (await exchange(app, target="/?name=Ada")).body == b'{"hello":"Ada"}'


@pytest.mark.anyio
async def test_the_plain_function_answers_in_both_shapes() -> None:
    names = snippet("def app(scope)")

    for app in (names["everywhere"], names["app"]({"type": "http", "method": "GET", "path": "/a"})):
        assert (await exchange(app, target="/a")).body == b'{"method":"GET","path":"/a"}'


@pytest.mark.anyio
async def test_the_app_with_a_limit_keeps_it() -> None:
    app = snippet("max_body_size")["app"]

    assert (await exchange(app, "POST", body=b"[1, 2]")).body == b'{"lines":2}'
    assert (await exchange(app, "POST", body=b"[")).status_code == 400
    assert (await exchange(app, "POST", body=[b" " * 65000] * 2)).status_code == 413
    assert (await exchange(app)).headers["allow"] == "POST"


@pytest.mark.anyio
async def test_the_response_is_an_app_with_a_cookie() -> None:
    answer = await exchange(snippet("HTMLResponse")["app"])

    assert answer.headers["set-cookie"].startswith("session=0123abcd; ")
    assert answer.headers["cache-control"] == "no-store"


async def curl(command: str) -> str:
    """Give what a command of the README prints, without a server."""
    program, *words = shlex.split(command)
    *options, url = words
    assert program == "curl"
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert set(given) <= {"-b", "-d", "-o", "-w"}
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc) == ("http", "127.0.0.1:8000")
    target = f"{parts.path}?{parts.query}"
    headers = {"cookie": given["-b"]} if "-b" in given else {}
    body = given.get("-d", "").encode()
    answer = await exchange(demo.app, "POST" if body else "GET", target, headers=headers, body=body)
    if "-o" in given:
        return given["-w"].replace("%{http_code}", str(answer.status_code))
    return answer.text


@pytest.mark.anyio
async def test_curl_prints_what_the_readme_says() -> None:
    session = "".join(blocks("console"))
    commands = re.findall(r"^\$ (.*)\n((?:[^$\n].*\n)*)", session, re.MULTILINE)

    assert len(commands) >= 3
    for command, output in commands:
        assert (await curl(command)).rstrip("\n") == output.rstrip("\n"), command


def test_there_are_two_commands_of_one_line_each_for_a_fresh_machine() -> None:
    demo_command, test_command = blocks("sh")

    assert demo_command == (
        "python3 -m venv .venv && .venv/bin/pip install -e '.[demo]' && "
        ".venv/bin/uvicorn examples.demo:app --port 8000\n"
    )
    assert test_command == (
        "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest\n"
    )


def test_the_first_screen_names_the_distribution_and_warns_of_the_other() -> None:
    first = "\n".join(README.splitlines()[:24])

    assert "asgikit-http" in first
    assert "Another project" in first
    assert "@request_response" in first


def limits_of(text: str) -> dict[str, float | None]:
    """Read a table of limits."""
    rows = re.findall(r"^\| `(\w+)` \| (none|(\d+) ?(\w*)) \|", text, re.MULTILINE)
    return {
        name: None if whole == "none" else float(number) * UNITS[unit]
        for name, whole, number, unit in rows
    }


def test_the_table_of_limits_has_the_defaults() -> None:
    assert limits_of(README) == dataclasses.asdict(Limits())


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_every_link_leads_to_a_file(link: str) -> None:
    assert (Path(__file__).parent.parent / link).exists()
