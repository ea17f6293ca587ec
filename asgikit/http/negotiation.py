"""Content negotiation (:rfc:`9110`, section 12.5): Accept, Accept-Encoding and Accept-Language.

A header is a list of ranges, each with a weight from 0 (not acceptable) to 1. The app has offers:
media types, codings or languages. For each offer:

1. The most specific range that matches the offer decides: ``text/html`` before ``text/*`` before
   ``*/*``, a name before ``*``, ``de-CH`` before ``de``.
2. The weight of that range is the quality of the offer. Without a match it is 0.
3. Offers are ranked by quality, then by how specific the range was, then in the order of the app.

An absent header accepts each offer with quality 1. A malformed element of a header is ignored, and
the other elements count.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import NamedTuple, TypeVar, overload

from asgikit.http.grammar import (
    TOKEN,
    format_quoted_string,
    is_token,
    parse_parameters,
    split_list,
)
from asgikit.http.media_types import MediaType, parse_media_type

__all__ = [
    "Accept",
    "AcceptEncoding",
    "AcceptLanguage",
    "MediaRange",
    "Preference",
    "Preferences",
    "parse_accept",
    "parse_accept_encoding",
    "parse_accept_language",
    "prefer_codings",
]

T = TypeVar("T")

# weight         = OWS ";" OWS "q=" qvalue
# qvalue         = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
#
# Java's client omits the zero before the point. Programs that compute weights in floating point
# send up to 17 digits, of which three count.
_is_weight = re.compile(r"0?\.[0-9]{1,17}|0\.?|1(?:\.0{0,17})?").fullmatch

# media-range    = ( "*/*" / ( type "/" "*" ) / ( type "/" subtype ) ) parameters
#
# Java's client sends "*" for "*/*".
_MEDIA_RANGE = re.compile(rf"({TOKEN})/({TOKEN})|\*(?=[ \t;]|\Z)")

# codings        = content-coding / "identity" / "*"
_CODING = re.compile(TOKEN)

# Names without weights, as browsers send them.
_are_coding_names = re.compile(r"[a-z]++(?: *+, *+[a-z]++)*+").fullmatch

# language-range = (1*8ALPHA *("-" 1*8alphanum)) / "*"              (RFC 4647, section 2.1)
_LANGUAGE_RANGE = re.compile(r"[A-Za-z]{1,8}+(?:-[A-Za-z0-9]{1,8}+)*+|\*")

# Older names of codings (section 8.4.1).
_CODING_ALIASES = {"x-gzip": "gzip", "x-compress": "compress"}

# The lowest weight above 0.
_MIN_QUALITY = 0.001


class Preference(NamedTuple):
    """An element of a header: a range or a name, and its weight from 0 to 1."""

    value: str
    quality: float

    def __str__(self) -> str:
        return self.value + _format_weight(self.quality)


class _Weight(NamedTuple):
    """The rank of an offer: its quality, then how specific the range is that decided."""

    quality: float
    specificity: tuple[int, ...] = ()


class MediaRange(NamedTuple):
    """An element of Accept: a type and a subtype in lower case; each may be ``*``.

    Attributes:
        parameters: The parameters that a media type must have to match, their names in lower case.
        quality: The weight from 0 to 1.
    """

    type: str
    subtype: str
    parameters: tuple[tuple[str, str], ...] = ()
    quality: float = 1.0

    def __str__(self) -> str:
        return self.value + _format_weight(self.quality)

    @property
    def value(self) -> str:
        """The range as text without its weight."""
        parameters = [
            f";{name}={value if is_token(value) else format_quoted_string(value)}"
            for name, value in self.parameters
        ]
        return f"{self.type}/{self.subtype}{''.join(parameters)}"

    @property
    def specificity(self) -> tuple[bool, bool, int]:
        """A sort key: of the ranges that match a media type, the one with the greatest decides."""
        return self.type != "*", self.subtype != "*", len(self.parameters)

    def matches(self, media_type: MediaType) -> bool:
        """Return whether the range includes ``media_type``, which may have further parameters.

        A ``charset`` of the range does not exclude a media type without one. JSON has no such
        parameter (:rfc:`8259`, section 11), and clients send it nevertheless.

        >>> [json] = parse_accept("application/json; charset=utf-8").ranges
        >>> json.matches(MediaType("application", "json"))
        True
        """
        own = media_type.parameters
        return (
            self.type in ("*", media_type.type)
            and self.subtype in ("*", media_type.subtype)
            and all(
                _normal(name, own[name]) == value if name in own else name == "charset"
                for name, value in self.parameters
            )
        )


class Preferences(ABC):
    """The elements of a header and their weights.

    Iteration yields the acceptable elements, those with the highest weight first.
    """

    __slots__ = ()

    @abstractmethod
    def quality(self, offer: str) -> float:
        """Return the weight of ``offer``, from 0 (not acceptable) to 1."""

    @abstractmethod
    def _weigh(self, offer: str) -> _Weight:
        """Return the weight of ``offer``, and how specific the range is that decided."""

    @abstractmethod
    def _members(self) -> Iterable[Preference]:
        """Return the elements of the header in order."""

    def __iter__(self) -> Iterator[Preference]:
        """Iterate over the acceptable elements, those with the highest weight first."""
        acceptable = [member for member in self._members() if member.quality > 0]
        return iter(sorted(acceptable, key=attrgetter("quality"), reverse=True))

    def __contains__(self, offer: str) -> bool:
        """Return whether ``offer`` is acceptable."""
        return self.quality(offer) > 0

    def rank(self, offers: Iterable[str]) -> list[str]:
        """Return the acceptable ``offers``, the best one first.

        Args:
            offers: The offers of the app. Of two with the same quality, the one that a more
                specific range matched comes first: ``text/html, */*`` prefers HTML. Otherwise their
                order decides.

        Raises:
            TypeError: ``offers`` is a ``str``.
        """
        return self._rank(offers, 0)

    def _rank(self, offers: Iterable[str], min_quality: float) -> list[str]:
        if isinstance(offers, str):
            raise TypeError(f"there are several offers, such as [{offers!r}]")
        weighed = [(self._weigh(offer), offer) for offer in offers]
        return [
            offer
            for weight, offer in sorted(weighed, key=itemgetter(0), reverse=True)
            if weight.quality > 0 and weight.quality >= min_quality
        ]

    @overload
    def best_match(self, offers: Iterable[str]) -> str | None: ...
    @overload
    def best_match(self, offers: Iterable[str], default: T) -> str | T: ...
    def best_match(self, offers: Iterable[str], default: T | None = None) -> str | T | None:
        """Return the best of ``offers``, as :meth:`rank` orders them.

        Args:
            offers: The offers of the app.
            default: The result if no offer is acceptable.

        Raises:
            TypeError: ``offers`` is a ``str``.
        """
        ranked = self.rank(offers)
        return ranked[0] if ranked else default

    def __str__(self) -> str:
        return ", ".join(map(str, self._members()))


@dataclass(frozen=True, slots=True)
class Accept(Preferences):
    """The value of Accept (section 12.5.1); without elements, each media type has quality 1.

    >>> accept = parse_accept("text/html, application/json;q=0.9, */*;q=0.1")
    >>> accept.best_match(["application/json", "text/html"]), accept.quality("image/png")
    ('text/html', 0.1)
    """

    ranges: tuple[MediaRange, ...]

    def _members(self) -> Iterable[Preference]:
        return [Preference(one.value, one.quality) for one in self.ranges]

    def quality(self, offer: str) -> float:
        """Return the weight of the most specific range that matches a media type.

        Raises:
            ValueError: ``offer`` is no media type, or has a ``*``.
        """
        return self._weigh(offer).quality

    def _weigh(self, offer: str) -> _Weight:
        media_type = parse_media_type(offer)
        if media_type is None or "*" in media_type.essence:
            raise ValueError(f"an offer is a media type such as 'text/html', not {offer!r}")
        if not self.ranges:
            return _Weight(1.0)
        own = media_type.parameters
        matches = [
            # A charset that the media type does not have makes a range no more specific.
            ((*each.specificity[:2], sum(name in own for name, _ in each.parameters)), each.quality)
            for each in self.ranges
            if each.matches(media_type)
        ]
        specificity, quality = max(matches, default=((), 0.0))
        return _Weight(quality, specificity)


@dataclass(frozen=True, slots=True)
class AcceptEncoding(Preferences):
    """The value of Accept-Encoding (section 12.5.3).

    Attributes:
        codings: The codings in lower case; ``None`` if the header is absent.

    >>> parse_accept_encoding("gzip, br;q=0.5").best_match(["br", "gzip", "identity"])
    'gzip'
    """

    codings: tuple[Preference, ...] | None

    def _members(self) -> Iterable[Preference]:
        return self.codings or ()

    def quality(self, offer: str) -> float:
        """Return the weight of a content coding or of ``identity``.

        If the header is absent, each coding has quality 1. If it has no elements, only ``identity``
        is acceptable.
        """
        return self._weigh(offer).quality

    def _weigh(self, offer: str) -> _Weight:
        if self.codings is None:
            return _Weight(1.0)
        name = offer.lower()
        name = _CODING_ALIASES.get(name, name)
        for element in (name, "*"):
            weights = [quality for value, quality in self.codings if value == element]
            if weights:
                return _Weight(max(weights), (element == name,))
        # Identity is acceptable unless it is excluded, but each requested coding is better.
        return _Weight(_MIN_QUALITY if name == "identity" else 0.0)

    def preferred(self, offers: Iterable[str]) -> list[str]:
        """Return the ``offers`` with at least the quality of ``identity``, the best one first.

        If the header is absent, the result is empty: the client may not support any coding.

        >>> parse_accept_encoding("gzip, identity;q=0.5, br;q=0.1").preferred(["br", "gzip"])
        ['gzip']
        >>> parse_accept_encoding(None).preferred(["br", "gzip"])
        []
        """
        if self.codings is None:
            return []
        return self._rank(offers, self.quality("identity"))


@dataclass(frozen=True, slots=True)
class AcceptLanguage(Preferences):
    """The value of Accept-Language (section 12.5.4); without elements, each tag has quality 1.

    >>> parse_accept_language("de-CH, en;q=0.5").best_match(["en", "de"])
    'de'
    """

    ranges: tuple[Preference, ...]

    def _members(self) -> Iterable[Preference]:
        return self.ranges

    def quality(self, offer: str) -> float:
        """Return the weight of a language tag.

        The longest range that is a prefix of the tag decides: ``de`` matches ``de-CH`` (basic
        filtering, :rfc:`4647`, section 3.3.1). Otherwise an acceptable range that the tag is a
        prefix of decides: ``de-CH`` matches ``de`` (lookup, section 3.4). Otherwise ``*`` decides.
        """
        return self._weigh(offer).quality

    def _weigh(self, offer: str) -> _Weight:
        if not self.ranges:
            return _Weight(1.0)
        # gettext names its folders de_AT.
        tag = offer.lower().replace("_", "-") + "-"
        longest, filtered = 0, 0.0
        looked_up, wildcard = 0.0, 0.0
        for value, quality in self.ranges:
            prefix = value.lower() + "-"
            if value == "*":
                wildcard = max(wildcard, quality)
            elif tag.startswith(prefix):
                longest, filtered = max((longest, filtered), (len(prefix), quality))
            elif prefix.startswith(tag):
                looked_up = max(looked_up, quality)
        if longest:
            return _Weight(filtered, (longest == len(tag), longest))
        # Lookup truncates a range step by step, so zh-Hant-TW finds zh-Hant before zh.
        return _Weight(looked_up, (False, len(tag))) if looked_up else _Weight(wildcard)


def parse_accept(field: str | None) -> Accept:
    """Parse Accept (section 12.5.1), lines joined by ``", "``; ``None`` if absent.

    >>> parse_accept("text/*;q=0.3, text/html;level=1").quality("text/html")
    0.3
    """
    # Accept = #( media-range [ weight ] )
    ranges: list[MediaRange] = []
    for member in split_list(field or ""):
        match = _MEDIA_RANGE.match(member)
        read = None if match is None else _parse_weight(member, match.end())
        if match is None or read is None:
            continue
        type_, subtype = (match[1] or "*").lower(), (match[2] or "*").lower()
        if type_ != "*" or subtype == "*":
            ranges.append(MediaRange(type_, subtype, *read))
    return Accept(tuple(ranges))


def parse_accept_encoding(field: str | None) -> AcceptEncoding:
    """Parse Accept-Encoding (section 12.5.3), lines joined by ``", "``; ``None`` if absent.

    >>> "gzip" in parse_accept_encoding("gzip;q=0, *"), "br" in parse_accept_encoding("")
    (False, False)
    """
    # Accept-Encoding = #( codings [ weight ] )
    if field is None:
        return AcceptEncoding(None)
    codings = [
        Preference(_CODING_ALIASES.get(value.lower(), value.lower()), quality)
        for value, quality in _parse_weighted(field, _CODING)
    ]
    return AcceptEncoding(tuple(codings))


# perf: static_9k -12 %, with the Accept-Encoding of a browser
def prefer_codings(field: str | None, offers: Sequence[str]) -> list[str]:
    """Return the ``offers`` with at least the quality of ``identity``, the best one first.

    The result is that of :meth:`AcceptEncoding.preferred`. Names without weights, as browsers send
    them, are compared without a parser.

    Args:
        field: The value of Accept-Encoding, as for :func:`parse_accept_encoding`.
        offers: Codings by their current names in lower case, without ``identity``.

    >>> prefer_codings("gzip, deflate, br", ["zstd", "br", "gzip"])
    ['br', 'gzip']
    """
    if field is not None and _are_coding_names(field):
        names = field.replace(" ", "").split(",")
        return [offer for offer in offers if offer in names]
    return parse_accept_encoding(field).preferred(offers)


def parse_accept_language(field: str | None) -> AcceptLanguage:
    """Parse Accept-Language (section 12.5.4), lines joined by ``", "``; ``None`` if absent.

    >>> list(parse_accept_language("da, en-gb;q=0.8"))[1]
    Preference(value='en-gb', quality=0.8)
    """
    # Accept-Language = #( language-range [ weight ] )
    return AcceptLanguage(tuple(_parse_weighted(field or "", _LANGUAGE_RANGE)))


def _parse_weighted(field: str, word: re.Pattern[str]) -> Iterator[Preference]:
    for member in split_list(field):
        match = word.match(member)
        read = None if match is None else _parse_weight(member, match.end())
        if match is not None and read is not None:
            yield Preference(match.group(), read[1])


def _parse_weight(member: str, start: int) -> tuple[tuple[tuple[str, str], ...], float] | None:
    """Parse the parameters after a range, and the weight, which may stand between them."""
    if start == len(member):
        return (), 1.0
    pairs = parse_parameters(member, start, loose=True)
    # A parameter with two different values is ambiguous.
    if pairs is None or len(dict(pairs)) < len(set(pairs)):
        return None
    parameters = dict(pairs)
    weight = parameters.pop("q", "1")
    if _is_weight(weight) is None:
        return None
    normal = [(name, _normal(name, value)) for name, value in parameters.items()]
    return tuple(normal), round(float(weight), 3)


def _normal(name: str, value: str) -> str:
    # Other parameters may be case-sensitive (section 8.3.1).
    return value.lower() if name == "charset" else value


def _format_weight(quality: float) -> str:
    return "" if quality == 1 else f";q={quality:.3f}".rstrip("0").rstrip(".")
