"""HTTP dates: one format out, three formats in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.http.dates import format_http_date, parse_http_date

WHEN = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
IMF = "Sun, 06 Nov 1994 08:49:37 GMT"
NOW = datetime(2026, 6, 1, tzinfo=UTC)

seconds = st.datetimes(timezones=st.just(UTC)).map(lambda when: when.replace(microsecond=0))


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (WHEN, IMF),
        (784111777, IMF),
        (784111777.999, IMF),  # cut off, since rounding up would hide the next change
        (WHEN.replace(microsecond=999_999), IMF),
        (WHEN.astimezone(timezone(timedelta(hours=-9, minutes=-30))), IMF),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (-0.5, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (datetime(1, 1, 1, tzinfo=UTC), "Mon, 01 Jan 0001 00:00:00 GMT"),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "Fri, 31 Dec 9999 23:59:59 GMT"),
    ],
)
def test_format_http_date_is_imf_fixdate(when: datetime | float, text: str) -> None:
    assert format_http_date(when) == text


@pytest.mark.parametrize(
    "when",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),  # the year 0 in UTC
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-2))),
        253402300800,  # 10000-01-01
        -62135596801,  # the second before 0001-01-01
        1e300,
        float("inf"),
        float("nan"),
    ],
)
def test_format_http_date_beyond_year_9999_raises(when: datetime | float) -> None:
    with pytest.raises(ValueError, match="years 1 to 9999"):
        format_http_date(when)


def test_format_http_date_of_naive_datetime_names_the_fix() -> None:
    with pytest.raises(ValueError, match=r"datetime\.now\(UTC\)"):
        format_http_date(datetime(1994, 11, 6))


@pytest.mark.parametrize("when", [None, IMF])
def test_format_http_date_of_wrong_type_raises(when: object) -> None:
    with pytest.raises(TypeError, match="datetime or POSIX seconds"):
        format_http_date(when)  # type: ignore[arg-type]  # the wrong use under test


@pytest.mark.parametrize(
    "text",
    [
        IMF,
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun Nov 06 08:49:37 1994",  # date3 allows two digits
        "Mon, 06 Nov 1994 08:49:37 GMT",  # it was a Sunday; the day of the week is not checked
    ],
)
def test_parse_http_date_accepts_three_formats(text: str) -> None:
    assert parse_http_date(text, now=NOW) == WHEN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "784111777",
        "sun, 06 nov 1994 08:49:37 gmt",  # names are case-sensitive
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 6 Nov 1994 08:49:37 GMT",  # the day has two digits
        "Sun, 06  Nov 1994 08:49:37 GMT",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",  # the format of Netscape cookies
        "Sun, 06 Nov 94 08:49:37 GMT",
        "06 Nov 1994 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",  # a space is missing
        "Sun Nov  6 08:49:37 1994 GMT",
        IMF + " ",
        IMF + "\n",
        " " + IMF,
        IMF + "; length=5",  # a parameter that Netscape 4 sent
        "Sun, ٠٦ Nov 1994 08:49:37 GMT",  # digits outside of ASCII
        "Sun, 06 Nov 1994 08.49.37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun Nov  0 08:49:37 1994",
        "Tue, 29 Feb 2023 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 23:59:61 GMT",
        "Sun, 06 Nov 1994 08:49:60 GMT",  # leap seconds come at midnight
        "Sunday, 31-Nov-94 08:49:37 GMT",
    ],
)
def test_parse_http_date_of_malformed_text_is_none(text: str) -> None:
    assert parse_http_date(text, now=NOW) is None


def test_parse_http_date_of_leap_second_is_second_before() -> None:
    date = parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT")

    assert date == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("digits", "now", "year"),
    [
        ("01-Jun-94", NOW, 1994),
        ("01-Jun-26", NOW, 2026),
        ("01-Jun-75", NOW, 2075),
        ("01-Jun-76", NOW, 2076),  # 50 years to the second
        ("02-Jun-76", NOW, 1976),  # one day later: the last such year in the past
        ("01-Jun-00", NOW, 2000),
        ("29-Feb-00", datetime(2140, 1, 1, tzinfo=UTC), 2000),  # 2100 is no leap year
        ("29-Feb-00", datetime(2240, 1, 1, tzinfo=UTC), None),  # nor are 2200 and 2100
        ("01-Jun-94", 784111777, 1994),  # POSIX seconds
        ("01-Jun-99", datetime(20, 1, 1, tzinfo=UTC), None),  # 79 years ahead, and no year -1
    ],
)
def test_parse_http_date_resolves_two_digit_year_by_now(
    digits: str, now: datetime | float, year: int | None
) -> None:
    date = parse_http_date(f"Monday, {digits} 00:00:00 GMT", now=now)

    assert (date and date.year) == year


def test_parse_http_date_of_rfc_850_without_now_is_none() -> None:
    assert parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") is None


@pytest.mark.property
@given(seconds)
def test_parse_http_date_reverses_format_http_date(when: datetime) -> None:
    text = format_http_date(when)

    assert text == format_datetime(when, usegmt=True)
    assert parse_http_date(text) == when


@given(seconds)
def test_parse_http_date_reverses_asctime(when: datetime) -> None:
    day = f"{when:%a %b} {when.day:2} {when:%H:%M:%S} {when.year:04}"

    assert parse_http_date(day) == when


@given(seconds, st.datetimes(timezones=st.just(UTC)))
def test_rfc_850_date_is_within_a_century_of_now(when: datetime, now: datetime) -> None:
    text = f"{when:%A, %d-%b-}{when.year % 100:02}{when: %H:%M:%S GMT}"

    date = parse_http_date(text, now=now)

    if date is not None:
        assert date.year % 100 == when.year % 100
        assert -100 <= date.year - now.year <= 50


@given(st.text() | st.from_regex(r"[A-Z][a-z]+, [0-9]{2}[ -][A-Z][a-z]{2}[ -][0-9]{2,4} .*"))
def test_parse_http_date_of_any_text_never_raises(text: str) -> None:
    date = parse_http_date(text, now=NOW)

    assert date is None or date.tzinfo is UTC
