"""Run the programs and the sessions of the documentation as they are printed.

A session follows a program: it has `curl` commands and their output. Its requests are sent to the
`app` of the program without a server. The headers that uvicorn adds to a response are added here.
"""

from __future__ import annotations

import base64
import gzip
import mimetypes
import os
import re
import shlex
import sys
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from asgikit.testing import Exchange, exchange

ORIGIN = "127.0.0.1:8000"
DATE = "Sun, 22 Nov 2026 12:00:00 GMT"
BOUNDARY = "snippet"

# The supported options of curl: those with a value, and those without one.
VALUED = {"--data-binary", "-A", "-F", "-H", "-X", "-b", "-c", "-d", "-o", "-r", "-u", "-w"}
FLAGS = {"--path-as-is", "-I", "-N", "-i"}

_fence = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_command = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


class Program(NamedTuple):
    """A block of Python, and the commands that are printed below it, each with its output."""

    name: str
    source: str
    session: list[tuple[str, str]]


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of ``text`` in one language."""
    return [content for found, content in _fence.findall(text) if found == language]


def programs(name: str, text: str) -> list[Program]:
    """Return the programs of a page."""
    found: list[Program] = []
    for language, content in _fence.findall(text):
        if language == "python":
            found.append(Program(f"{name}:{len(found) + 1}", content, []))
        elif language == "console":
            found[-1].session.extend(_command.findall(content))
    return found


def run(source: str, name: str) -> dict[str, Any]:
    """Run a program as the module ``snippet``; return its global names."""
    # Libraries that resolve annotations look the module up in `sys.modules`.
    module = sys.modules["snippet"] = ModuleType("snippet")
    exec(compile(source, name, "exec"), module.__dict__)
    return module.__dict__


def furnish(folder: Path) -> None:
    """Write the files into ``folder`` that programs and commands use."""
    (folder / "public").mkdir()
    (folder / "public" / "index.html").write_text("<h1>Home</h1>\n")
    report = folder / "public" / "report.txt"
    report.write_text("abcdefghijklmnopqrstuvwxyz")
    os.utime(report, (1795262400, 1795262400))  # a day before DATE
    (folder / "cat.jpg").write_bytes(b"cat")
    (folder / "hello.gz").write_bytes(gzip.compress(b"hello\n"))


async def curl(app: Any, command: str) -> str:
    """Return the output of a curl command."""
    program, *words = shlex.split(command)
    assert program == "curl"
    *options, url = words
    given = _options(options)
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc) == ("http", ORIGIN)
    assert ".." not in parts.path or "--path-as-is" in given
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    headers, body = _fields(given), _body(given)
    if "-F" in given:
        headers.append(("content-type", f"multipart/form-data; boundary={BOUNDARY}"))
    elif body and "content-type" not in {name.lower() for name, _ in headers}:
        headers.append(("content-type", "application/x-www-form-urlencoded"))
    method = "HEAD" if "-I" in given else "POST" if body else "GET"
    (method,) = given.get("-X", [method])
    answer = await exchange(app, method, target or "/", headers=headers, body=body)
    _keep_cookies(answer, given)
    return _print(answer, given)


def _options(words: list[str]) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    rest = iter(words)
    for word in rest:
        assert word in VALUED | FLAGS, word
        given.setdefault(word, []).append(next(rest) if word in VALUED else "")
    return given


def _fields(given: dict[str, list[str]]) -> list[tuple[str, str]]:
    agent = given.get("-A", ["curl/8.0"])[0]
    lines = [line.partition(": ") for line in given.get("-H", [])]
    fields = [(name.lower(), value) for name, _, value in lines]
    for name, value in [("accept", "*/*"), ("user-agent", agent), ("host", ORIGIN)]:
        if not any(name == given_name for given_name, _ in fields):
            fields.insert(0, (name, value))
    fields += [
        ("cookie", value if "=" in value else Path(value).read_text())
        for value in given.get("-b", [])
    ]
    fields += [("range", f"bytes={value}") for value in given.get("-r", [])]
    for value in given.get("-u", []):
        fields.append(("authorization", f"Basic {base64.b64encode(value.encode()).decode()}"))
    return fields


def _body(given: dict[str, list[str]]) -> bytes:
    if "-F" in given:
        return b"".join(map(_part, given["-F"])) + f"--{BOUNDARY}--\r\n".encode()
    words = given.get("-d", []) + given.get("--data-binary", [])
    return b"&".join(_content(word) for word in words)


def _content(word: str) -> bytes:
    return Path(word[1:]).read_bytes() if word.startswith("@") else word.encode()


def _part(word: str) -> bytes:
    name, _, value = word.partition("=")
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
    if value.startswith("@"):
        kind = mimetypes.guess_type(value)[0] or "application/octet-stream"
        head += f'; filename="{value[1:]}"\r\nContent-Type: {kind}'
    return f"{head}\r\n\r\n".encode() + _content(value) + b"\r\n"


def _keep_cookies(answer: Exchange, given: dict[str, list[str]]) -> None:
    """Write the cookies to the file of ``-c``, in the form of the header Cookie."""
    for jar in given.get("-c", []):
        cookies = [line.partition(";")[0] for line in answer.headers.getall("set-cookie", [])]
        Path(jar).write_text("; ".join(cookies))


def _print(answer: Exchange, given: dict[str, list[str]]) -> str:
    head = ""
    if "-i" in given or "-I" in given:
        status = answer.status_code
        fields = [("date", DATE), ("server", "uvicorn"), *answer.headers.items()]
        lines = "".join(f"{name}: {value}\n" for name, value in fields)
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\n{lines}\n"
    printed = head + answer.text if "-o" not in given else ""
    for template in given.get("-w", []):
        written = template.replace("\\n", "\n").replace("%{http_code}", str(answer.status_code))
        written = re.sub(r"%header\{(.+?)\}", lambda name: answer.headers[name[1]], written)
        printed += written
    return printed
