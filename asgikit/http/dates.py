"""HTTP dates (:rfc:`9110`, section 5.6.7): one format out, three formats in.

The two-digit year of the obsolete RFC 850 format depends on the current year. There is no clock in
this module, so the caller passes the time of receipt.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

__all__ = ["format_http_date", "parse_http_date"]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAYS_LONG = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Looking up two digits is faster than formatting them.
_TWO_DIGITS = tuple(f"{n:02}" for n in range(100))
_MONTH_NUMBERS = {name: number for number, name in enumerate(_MONTHS, 1)}
# "00" to "99", and the " 0" to " 9" of asctime.
_NUMBERS = {text: n for n, text in enumerate(_TWO_DIGITS)} | {f"{n:2}": n for n in range(10)}

_DAY_NAME = rf"(?:{'|'.join(_DAYS)})"
_DAY_NAME_LONG = rf"(?:{'|'.join(_DAYS_LONG)})"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_CLOCK = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_YEAR = r"(?P<century>[0-9]{2})(?P<year>[0-9]{2})"

# IMF-fixdate  = day-name "," SP date1 SP time-of-day SP GMT
# date1        = day SP month SP year                        ; e.g., 02 Jun 1982
# time-of-day  = hour ":" minute ":" second
_is_imf_fixdate = re.compile(
    rf"{_DAY_NAME}, (?P<day>[0-9]{{2}}) {_MONTH} {_YEAR} {_CLOCK} GMT"
).fullmatch

# rfc850-date  = day-name-l "," SP date2 SP time-of-day SP GMT
# date2        = day "-" month "-" 2DIGIT                    ; e.g., 02-Jun-82
_is_rfc850_date = re.compile(
    rf"{_DAY_NAME_LONG}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_CLOCK} GMT"
).fullmatch

# asctime-date = day-name SP date3 SP time-of-day SP year
# date3        = month SP ( 2DIGIT / ( SP 1DIGIT ))          ; e.g., Jun  2
_is_asctime_date = re.compile(
    rf"{_DAY_NAME} {_MONTH} (?P<day>[0-9 ][0-9]) {_CLOCK} {_YEAR}"
).fullmatch


def format_http_date(when: datetime | float) -> str:
    """Format a date as IMF-fixdate, without fractions of a second.

    Args:
        when: An aware datetime of any time zone, or POSIX seconds.

    Raises:
        TypeError: ``when`` is neither.
        ValueError: The datetime is naive, or its year in UTC is not from 1 to 9999.

    >>> format_http_date(784111777)
    'Sun, 06 Nov 1994 08:49:37 GMT'
    """
    utc = _utc(when)
    return (
        f"{_DAYS[utc.weekday()]}, {_TWO_DIGITS[utc.day]} {_MONTHS[utc.month - 1]} {utc.year:04} "
        f"{_TWO_DIGITS[utc.hour]}:{_TWO_DIGITS[utc.minute]}:{_TWO_DIGITS[utc.second]} GMT"
    )


def _utc(when: object) -> datetime:
    try:
        if isinstance(when, (float, int)):
            return datetime.fromtimestamp(math.floor(when), UTC)
        if isinstance(when, datetime) and when.utcoffset() is not None:
            return when.astimezone(UTC)
    except (OSError, OverflowError, ValueError) as error:
        raise ValueError(f"not within the years 1 to 9999: {when!r}") from error
    if isinstance(when, datetime):
        raise ValueError(  # noqa: TRY004 - the type is right
            f"a naive datetime may mean any time zone: {when!r}; "
            "use datetime.now(UTC), or when.astimezone() for local time"
        )
    raise TypeError(f"a date is a datetime or POSIX seconds, not {type(when).__name__}")


def parse_http_date(text: str, *, now: datetime | float | None = None) -> datetime | None:
    """Parse an HTTP date in any of the three formats, which are case-sensitive.

    Args:
        text: The value of a header, without surrounding white space.
        now: The time of receipt, as an aware datetime or POSIX seconds. It resolves the two-digit
            year of the obsolete RFC 850 format. Without it, a date of that format is ``None``.

    Returns:
        An aware datetime in UTC; ``None`` if ``text`` is malformed or names no day of the calendar.
        The day of the week is not compared with the date.

    >>> parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT")
    datetime.datetime(1994, 11, 6, 8, 49, 37, tzinfo=datetime.timezone.utc)
    >>> parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", now=1.7e9).year
    1994
    """
    match = _is_imf_fixdate(text) or _is_asctime_date(text)
    if match is not None:
        year = 100 * _NUMBERS[match["century"]] + _NUMBERS[match["year"]]
        return _datetime(match, year)
    match = _is_rfc850_date(text)
    if match is None or now is None:
        return None
    today = _utc(now)
    year = today.year - today.year % 100 + _NUMBERS[match["year"]]
    date = _datetime(match, year)
    # A date more than 50 years ahead means the last year in the past with these digits. There may
    # be a 29 February in the last century but not in this one.
    if date is None or (year - 50, *date.timetuple()[1:6]) > today.timetuple()[:6]:
        date = _datetime(match, year - 100)
    return date


def _datetime(match: re.Match[str], year: int) -> datetime | None:
    month = _MONTH_NUMBERS[match["month"]]
    day = _NUMBERS[match["day"]]
    hour = _NUMBERS[match["hour"]]
    minute = _NUMBERS[match["minute"]]
    second = _NUMBERS[match["second"]]
    if (hour, minute, second) == (23, 59, 60):
        # A leap second is read as the second before it. A date that is too early causes a needless
        # 200; a date that is too late causes a wrong 304.
        second = 59
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
