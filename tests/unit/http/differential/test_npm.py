"""The parsers of asgikit compared with the npm packages that Node servers use.

``NODE_MODULES`` is the folder with the packages. Without it or without Node, the tests are skipped.
Each known difference is in a table with the section that decides it. A difference that is not in
the table fails the test, and so does one that no input shows.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest

from asgikit.exceptions import RangeNotSatisfiable
from asgikit.http.conditional import evaluate_preconditions, parse_etag
from asgikit.http.dates import format_http_date, parse_http_date
from asgikit.http.disposition import format_content_disposition, parse_form_disposition
from asgikit.http.negotiation import (
    Preferences,
    parse_accept,
    parse_accept_encoding,
    parse_accept_language,
)
from asgikit.http.ranges import parse_range

NODE = shutil.which("node")
NODE_MODULES = os.environ.get("NODE_MODULES", "")
PACKAGES = ("negotiator", "fresh", "range-parser", "content-disposition")

pytestmark = pytest.mark.skipif(
    NODE is None or not all(Path(NODE_MODULES, name).is_dir() for name in PACKAGES),
    reason="needs Node, and NODE_MODULES with " + ", ".join(PACKAGES),
)

INPUTS = 2000  # for each test

Case: TypeAlias = dict[str, Any]


class Difference(NamedTuple):
    """A known difference, with the reason why the result of asgikit is right."""

    section: str
    reason: str
    explains: Callable[[Case, Any, Any], bool]


def ask_node(kind: str, cases: list[Case]) -> list[Any]:
    lines = "".join(json.dumps({"kind": kind, **case}) + "\n" for case in cases)
    done = subprocess.run(
        [NODE or "", str(Path(__file__).with_name("oracle.js"))],
        input=lines,
        env={**os.environ, "NODE_MODULES": NODE_MODULES},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def compare(
    kind: str,
    make: Callable[[random.Random], Case],
    ours: Callable[[Case], Any],
    differences: list[Difference],
) -> None:
    """Compare the results for random cases, and assert that each difference is known."""
    chance = random.Random(f"asgikit {kind}")
    cases = [make(chance) for _ in range(INPUTS)]
    seen = dict.fromkeys(range(len(differences)), 0)
    unknown = []
    for case, theirs in zip(cases, ask_node(kind, cases), strict=True):
        answer = ours(case)
        if answer == theirs:
            continue
        known = [n for n, one in enumerate(differences) if one.explains(case, answer, theirs)]
        if known:
            seen[known[0]] += 1
        else:
            unknown.append((case, answer, theirs))

    assert unknown[:3] == []
    assert [differences[n].reason for n, count in seen.items() if not count] == []
    # Most results are equal.
    assert sum(seen.values()) < INPUTS


# --- negotiator -----------------------------------------------------------------------------------

TYPES = ["text/html", "text/plain", "application/json", "image/png", "text/html;level=1"]
RANGES = [
    *TYPES, "text/*", "image/*", "*/*", "*", "TEXT/HTML", "text/html;level=2", "text/html;Level=1",
    "text", "*/html", "application/*", "text/html;level=1;a=b",
]  # fmt: skip
CODINGS = ["gzip", "br", "zstd", "identity", "deflate"]
CODING_RANGES = [*CODINGS, "*", "GZip", "x-gzip", "compress"]
LANGUAGES = ["en", "en-US", "de", "de-CH", "zh-Hant", "zh-Hant-CN", "fr"]
LANGUAGE_RANGES = [*LANGUAGES, "*", "EN", "en-gb", "zh", "zh-Hans", "de-CH-1996"]
WEIGHTS = ["", "", "", ";q=1", ";q=0", ";q=0.5", "; q=0.7", ";Q=0.25", ";q=0.001", ";q=2", ";q=x"]


def make_preference(ranges: list[str], offers: list[str]) -> Callable[[random.Random], Case]:
    def make(chance: random.Random) -> Case:
        members = [
            chance.choice(ranges) + chance.choice(WEIGHTS) for _ in range(chance.randint(0, 5))
        ]
        field = None if chance.random() < 0.05 else chance.choice([",", ", ", " , "]).join(members)
        return {"field": field, "offers": chance.sample(offers, chance.randint(1, 4))}

    return make


def rank(parse: Callable[[str | None], Preferences]) -> Callable[[Case], list[str]]:
    return lambda case: parse(case["field"]).rank(case["offers"])


def is_tie(parse: Callable[[str | None], Preferences]) -> Callable[[Case, Any, Any], bool]:
    """Return a check that both rank the same offers, in an order of the same qualities."""

    def explains(case: Case, ours: list[str], theirs: list[str]) -> bool:
        quality = parse(case["field"]).quality
        return sorted(ours) == sorted(theirs) and [*map(quality, ours)] == [*map(quality, theirs)]

    return explains


def has(pattern: str) -> Callable[[Case, Any, Any], bool]:
    search = re.compile(pattern, re.IGNORECASE).search
    return lambda case, ours, theirs: search(case["field"] or "") is not None


TIE = "equal qualities are ranked by the order of the server, since the client states none"
BAD_WEIGHT = "an element with a malformed weight is ignored, and not read as 0, 1 or 2"


def test_accept() -> None:
    compare(
        "accept",
        make_preference(RANGES, TYPES),
        rank(parse_accept),
        [
            Difference("RFC 9110, 12.5.1", TIE, is_tie(parse_accept)),
            Difference("RFC 9110, 12.4.2", BAD_WEIGHT, has(r"q=(?:2|x)")),
            Difference(
                "RFC 9110, 12.5.1",
                "a header without elements excludes nothing",
                lambda case, ours, theirs: not (case["field"] or "").strip(" ,"),
            ),
            Difference(
                "RFC 9110, 12.5.1",
                '"*" is no range of the grammar, but Java sends it for "*/*"',
                has(r"(?:^|,) *\*(?: *[,;]|$)"),
            ),
            Difference(
                "RFC 9110, 12.5.1",
                '"*/html" is no range: the type may be "*" only if the subtype is',
                has(r"\*/html"),
            ),
            Difference(
                "RFC 9110, 12.5.1",
                '"text" without a slash is no range, so the header has no elements',
                lambda case, ours, theirs: (
                    re.fullmatch(
                        r"(?:text(?:; ?q=[0-9.]*)?[ ,]*)+", case["field"] or "", re.IGNORECASE
                    )
                    is not None
                ),
            ),
        ],
    )


def test_accept_encoding() -> None:
    compare(
        "encoding",
        make_preference(CODING_RANGES, CODINGS),
        rank(parse_accept_encoding),
        [
            Difference(
                "RFC 9110, 12.5.3",
                "without the header each coding is acceptable, not identity alone",
                lambda case, ours, theirs: case["field"] is None,
            ),
            Difference("RFC 9110, 12.5.3", TIE, is_tie(parse_accept_encoding)),
            Difference("RFC 9110, 12.4.2", BAD_WEIGHT, has(r"q=(?:2|x)")),
            Difference("RFC 9110, 8.4.1.3", "x-gzip is gzip", has("x-gzip")),
        ],
    )


def test_accept_language() -> None:
    compare(
        "language",
        make_preference(LANGUAGE_RANGES, LANGUAGES),
        rank(parse_accept_language),
        [
            Difference("RFC 9110, 12.5.4", TIE, is_tie(parse_accept_language)),
            Difference("RFC 9110, 12.4.2", BAD_WEIGHT, has(r"q=(?:2|x)")),
            Difference(
                "RFC 9110, 12.5.4",
                "a header without elements excludes nothing",
                lambda case, ours, theirs: not (case["field"] or "").strip(" ,"),
            ),
            Difference(
                "RFC 4647, 3.3.1",
                "a range matches longer tags by filtering, and shorter tags by lookup",
                has("zh-|de-CH-1996"),
            ),
            Difference(
                "RFC 4647, 3.4",
                "to exclude de-CH does not exclude de",
                has(r"(?:en-US|en-gb|de-CH); ?q=0(?:,| |$)"),
            ),
        ],
    )


# --- fresh ----------------------------------------------------------------------------------------

TAGS = ['"1"', '"2"', 'W/"1"', '"a,b"', '""', "1", "*", 'w/"1"']
DATES = [format_http_date(784111777 + shift) for shift in (-1, 0, 1)]
ODD_DATES = ["yesterday", "1994-11-06", "Sun, 6 Nov 1994 08:49:37 GMT", "784111777"]


def make_condition(chance: random.Random) -> Case:
    request, response = {}, {}
    if chance.random() < 0.7:
        tags = [chance.choice(TAGS) for _ in range(chance.randint(1, 3))]
        request["if-none-match"] = chance.choice([",", ", ", ",, "]).join(tags)
    if chance.random() < 0.5:
        request["if-modified-since"] = chance.choice([*DATES, *DATES, *ODD_DATES])
    if chance.random() < 0.1:
        request["cache-control"] = "no-cache"
    if chance.random() < 0.7:
        response["etag"] = chance.choice(TAGS[:5])
    if chance.random() < 0.7:
        response["last-modified"] = chance.choice(DATES)
    return {"request": request, "response": response}


def is_not_modified(case: Case) -> bool:
    request, response = case["request"], case["response"]
    status = evaluate_preconditions(
        method="GET",
        if_none_match=request.get("if-none-match"),
        if_modified_since=request.get("if-modified-since"),
        etag=parse_etag(response.get("etag", "")),
        last_modified=parse_http_date(response.get("last-modified", "")),
        now=datetime(2000, 1, 1, tzinfo=UTC),
    )
    return status == 304


def test_fresh() -> None:
    def sent(name: str, pattern: str) -> Callable[[Case, Any, Any], bool]:
        return lambda case, ours, theirs: bool(re.search(pattern, case["request"].get(name, "")))

    compare(
        "fresh",
        make_condition,
        is_not_modified,
        [
            Difference(
                "RFC 9111, 5.2.1.4",
                "no-cache makes caches ask the origin; the origin may still answer 304",
                sent("cache-control", "no-cache"),
            ),
            Difference(
                "RFC 9110, 8.8.3",
                "a tag may have a comma",
                sent("if-none-match", "a,b"),
            ),
            Difference(
                "RFC 9110, 13.1.2",
                'a malformed element, or "*" in a list, makes the header match nothing',
                sent("if-none-match", r"(?:^|[ ,])(?:1|\*|w/\"1\")(?:[ ,]|$)"),
            ),
            Difference(
                "RFC 9110, 5.6.7",
                "a date has one of three formats; otherwise the condition is ignored",
                sent("if-modified-since", "1994-11-06|6 Nov 1994 08|784111777|yesterday"),
            ),
        ],
    )


# --- range-parser ---------------------------------------------------------------------------------

POSITIONS = ["", "0", "1", "5", "9", "10", "50", "99", "100", "007"]


def make_range(chance: random.Random) -> Case:
    specs = [
        f"{chance.choice(POSITIONS)}{chance.choice(['-'] * 12 + [' - ', '', '--'])}"
        f"{chance.choice(POSITIONS)}"
        for _ in range(chance.choice([1, 1, 1, 2, 2, 3, 20]))
    ]
    unit = chance.choice(["bytes="] * 9 + ["pages=", "BYTES=", "bytes"])
    return {
        "value": unit + chance.choice([",", ", ", ",,"]).join(specs),
        "size": chance.choice([0, 1, 10, 100, 1000]),
    }


def resolve(case: Case) -> Any:
    try:
        spans = parse_range(case["value"], case["size"])
    except RangeNotSatisfiable:
        return -1
    return -2 if spans is None else [[span.start, span.stop] for span in spans]


def covered(spans: list[list[int]]) -> set[int]:
    return {at for start, stop in spans for at in range(start, stop)}


def test_range_parser() -> None:
    def matches(pattern: str) -> Callable[[Case, Any, Any], bool]:
        return lambda case, ours, theirs: bool(re.search(pattern, case["value"]))

    def has_backwards(case: Case, ours: Any, theirs: Any) -> bool:
        pairs = re.findall(r"(\d+)-(\d+)", case["value"])
        return ours == -2 and any(int(last) < int(first) for first, last in pairs)

    def has_long_suffix(case: Case, ours: Any, theirs: Any) -> bool:
        suffixes = re.findall(r"[=, ]-(\d+)", case["value"])
        return any(int(suffix) > case["size"] for suffix in suffixes)

    def asks_for_more(case: Case, ours: Any, theirs: Any) -> bool:
        return (
            ours == -2
            and isinstance(theirs, list)
            and (
                sum(stop - start for start, stop in theirs) > case["size"]
                or case["value"].count("-") > 16
            )
        )

    compare(
        "range",
        make_range,
        resolve,
        [
            Difference(
                "RFC 9110, 14.2",
                "an unknown unit is ignored, and the name of a unit is case-insensitive",
                matches("pages="),
            ),
            Difference(
                "RFC 9110, 14.4",
                "an empty representation has no ranges, so the header is ignored",
                lambda case, ours, theirs: case["size"] == 0,
            ),
            Difference(
                "RFC 9110, 5.6.1.2",
                "a list may have empty elements",
                matches(",,"),
            ),
            Difference(
                "RFC 9110, 14.1.1",
                "a range has no white space and no second hyphen",
                matches(r" - |--|\d \d"),
            ),
            Difference(
                "RFC 9110, 14.1.1",
                "a last position before the first makes the header invalid",
                has_backwards,
            ),
            Difference(
                "RFC 9110, 14.1.2",
                "a suffix longer than the representation means all of it",
                has_long_suffix,
            ),
            Difference(
                "RFC 9110, 17.15", "too many ranges or bytes: the header is ignored", asks_for_more
            ),
            Difference(
                "RFC 9110, 15.3.7.2",
                "overlapping ranges are merged",
                lambda case, ours, theirs: (
                    isinstance(ours, list)
                    and isinstance(theirs, list)
                    and covered(ours) == covered(theirs)
                ),
            ),
        ],
    )


# --- content-disposition --------------------------------------------------------------------------

LETTERS = [*"abc.-_ \"\\%;,='/*()", "\xe9", "\u65e5", "\U0001f600", "%41", "%zz", "..", "\x7f"]


def make_disposition(chance: random.Random) -> Case:
    filename = "".join(chance.choice(LETTERS) for _ in range(chance.randint(0, 8)))
    return {"filename": filename, "written": format_content_disposition("attachment", filename)}


def test_content_disposition() -> None:
    chance = random.Random("asgikit disposition")
    cases = [make_disposition(chance) for _ in range(INPUTS)]
    differing = 0
    for case, (parsed, written) in zip(cases, ask_node("disposition", cases), strict=True):
        # The package reads each name exactly.
        assert parsed == case["filename"]
        ours = parse_form_disposition(f'{written}; name="a"')
        if ours is None:
            # asgikit refuses control characters in extended values, too.
            assert "\x7f" in case["filename"]
        elif ours.raw_filename != case["filename"]:
            differing += 1
            # In a form, `filename` takes precedence over `filename*` (RFC 7578, 4.2), and %22 is a
            # DQUOTE (HTML standard, "multipart/form-data"), which LETTERS do not have.
            assert "filename*=" in written
    assert 0 < differing < INPUTS
