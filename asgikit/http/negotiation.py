"""What a client would rather have (:rfc:`9110`, section 12.5): media types, codings, languages.

A member of a field that is malformed counts for nothing, and the others for what they say.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
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
# Java's own client leaves out the zero before the point, and programs that count in floating point
# send up to 17 digits behind it, of which three count.
_is_weight = re.compile(r"0?\.[0-9]{1,17}|0\.?|1(?:\.0{0,17})?").fullmatch

# media-range    = ( "*/*" / ( type "/" "*" ) / ( type "/" subtype ) ) parameters
#
# Java's own client sends "*" for "*/*".
_MEDIA_RANGE = re.compile(rf"({TOKEN})/({TOKEN})|\*(?=[ \t;]|\Z)")

# codings        = content-coding / "identity" / "*"
_CODING = re.compile(TOKEN)

# Names alone, as browsers send them: each is as good as the others.
_are_coding_names = re.compile(r"[a-z]++(?: *+, *+[a-z]++)*+").fullmatch

# language-range = (1*8ALPHA *("-" 1*8alphanum)) / "*"              (RFC 4647, section 2.1)
_LANGUAGE_RANGE = re.compile(r"[A-Za-z]{1,8}+(?:-[A-Za-z0-9]{1,8}+)*+|\*")

# Older names of the same (section 8.4.1).
_SAME_CODING = {"x-gzip": "gzip", "x-compress": "compress"}

# The least weight that is one.
_LEAST = 0.001


class Preference(NamedTuple):
    """A member of a field: a range or a name, and its weight from 0 to 1."""

    value: str
    quality: float

    def __str__(self) -> str:
        return self.value + _format_weight(self.quality)


class _Weight(NamedTuple):
    """How good an offer is; the greater one is the better."""

    quality: float
    specificity: tuple[int, ...] = ()


class MediaRange(NamedTuple):
    """A member of Accept: a type and a subtype, of which each may be ``*``, in lower case.

    Attributes:
        parameters: that a media type must have to be meant, their names in lower case.
        quality: its weight, from 0 to 1.
    """

    type: str
    subtype: str
    parameters: tuple[tuple[str, str], ...] = ()
    quality: float = 1.0

    def __str__(self) -> str:
        return self.value + _format_weight(self.quality)

    @property
    def value(self) -> str:
        """The range as text, without its weight."""
        parameters = [
            f";{name}={value if is_token(value) else format_quoted_string(value)}"
            for name, value in self.parameters
        ]
        return f"{self.type}/{self.subtype}{''.join(parameters)}"

    @property
    def specificity(self) -> tuple[bool, bool, int]:
        """How much it says: of two that mean a media type, the greater one counts."""
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
    """What a client would rather have; iterating gives what it names, the best first."""

    __slots__ = ()

    @abstractmethod
    def quality(self, offer: str) -> float:
        """Give the weight of ``offer``, from 0 for what is not acceptable to 1."""

    @abstractmethod
    def _weigh(self, offer: str) -> _Weight:
        """Give the weight of ``offer``, and how clearly it is meant."""

    @abstractmethod
    def _members(self) -> Iterable[Preference]:
        """Give what was named, in order."""

    def __iter__(self) -> Iterator[Preference]:
        """Give what the client named, the best first; not what it refused."""
        named = [member for member in self._members() if member.quality > 0]
        return iter(sorted(named, key=_by_quality))

    def __contains__(self, offer: str) -> bool:
        """Tell whether ``offer`` is acceptable."""
        return self.quality(offer) > 0

    def rank(self, offers: Iterable[str]) -> list[str]:
        """Give those of ``offers`` that are acceptable, the best first.

        Args:
            offers: what there is. Of two that are as good, the one that is meant more clearly
                comes first (who accepts ``text/html, */*`` has named HTML), and then their order
                decides.

        Raises:
            TypeError: ``offers`` is one text.
        """
        return self._rank(offers, 0)

    def _rank(self, offers: Iterable[str], bound: float) -> list[str]:
        if isinstance(offers, str):
            raise TypeError(f"there are several offers, such as [{offers!r}]")
        weighed = [(self._weigh(offer), offer) for offer in offers]
        return [
            offer
            for weight, offer in sorted(weighed, key=itemgetter(0), reverse=True)
            if weight.quality > 0 and weight.quality >= bound
        ]

    @overload
    def best_match(self, offers: Iterable[str]) -> str | None: ...
    @overload
    def best_match(self, offers: Iterable[str], default: T) -> str | T: ...
    def best_match(self, offers: Iterable[str], default: T | None = None) -> str | T | None:
        """Give the one of ``offers`` that the client would rather have.

        Args:
            offers: what there is; between equals as for :meth:`rank`.
            default: what to give where none is acceptable.

        Raises:
            TypeError: ``offers`` is one text.
        """
        ranked = self.rank(offers)
        return ranked[0] if ranked else default

    def __str__(self) -> str:
        return ", ".join(map(str, self._members()))


@dataclass(frozen=True, slots=True)
class Accept(Preferences):
    """An Accept field (section 12.5.1); without a member, any media type is as good as any other.

    >>> accept = parse_accept("text/html, application/json;q=0.9, */*;q=0.1")
    >>> accept.best_match(["application/json", "text/html"]), accept.quality("image/png")
    ('text/html', 0.1)
    """

    ranges: tuple[MediaRange, ...]

    def _members(self) -> Iterable[Preference]:
        return [Preference(one.value, one.quality) for one in self.ranges]

    def quality(self, offer: str) -> float:
        """Give the weight of a media type, by the most specific range that it is of.

        Raises:
            ValueError: ``offer`` is no media type.
        """
        return self._weigh(offer).quality

    def _weigh(self, offer: str) -> _Weight:
        media_type = parse_media_type(offer)
        if media_type is None or "*" in media_type.essence:
            raise ValueError(f"what is offered is a media type, not {offer!r}")
        if not self.ranges:
            return _Weight(1.0)
        matches = [
            (_specificity(media_range, media_type), media_range.quality)
            for media_range in self.ranges
            if media_range.matches(media_type)
        ]
        specificity, quality = max(matches, default=((), 0.0))
        return _Weight(quality, specificity)


@dataclass(frozen=True, slots=True)
class AcceptEncoding(Preferences):
    """An Accept-Encoding field (section 12.5.3).

    Attributes:
        codings: in lower case; :obj:`None` where the field is absent, and the client said nothing.

    >>> parse_accept_encoding("gzip, br;q=0.5").best_match(["br", "gzip", "identity"])
    'gzip'
    """

    codings: tuple[Preference, ...] | None

    def _members(self) -> Iterable[Preference]:
        return self.codings or ()

    def quality(self, offer: str) -> float:
        """Give the weight of a content coding, or of ``identity``, which is none.

        Where the field is absent, any coding is acceptable. Where it names none, none is.
        """
        return self._weigh(offer).quality

    def _weigh(self, offer: str) -> _Weight:
        if self.codings is None:
            return _Weight(1.0)
        name = offer.lower()
        name = _SAME_CODING.get(name, name)
        for wanted in (name, "*"):
            weights = [quality for value, quality in self.codings if value == wanted]
            if weights:
                return _Weight(max(weights), (wanted == name,))
        # No coding is acceptable unless it is refused, and all that is asked for is better.
        return _Weight(_LEAST if name == "identity" else 0.0)

    def preferred(self, offers: Iterable[str]) -> list[str]:
        """Give those of ``offers`` that the client would rather have than none, the best first.

        A client that says nothing may accept any, but what it surely can read is no coding.

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
    """An Accept-Language field (section 12.5.4); without a member, any language will do.

    >>> parse_accept_language("de-CH, en;q=0.5").best_match(["en", "de"])
    'de'
    """

    ranges: tuple[Preference, ...]

    def _members(self) -> Iterable[Preference]:
        return self.ranges

    def quality(self, offer: str) -> float:
        """Give the weight of a language tag.

        The longest range that begins the tag counts (basic filtering, :rfc:`4647`, section 3.3.1:
        ``de`` means ``de-CH``). Where there is none, a range that begins with the tag does (lookup,
        section 3.4: who reads ``de-CH`` reads ``de``), unless that range is refused; and then
        ``*``.
        """
        return self._weigh(offer).quality

    def _weigh(self, offer: str) -> _Weight:
        if not self.ranges:
            return _Weight(1.0)
        # gettext's folders, and many an app with them, write de_AT.
        tag = offer.lower().replace("_", "-") + "-"
        longest, filtered = 0, 0.0
        looked_up, others = 0.0, 0.0
        for value, quality in self.ranges:
            wanted = value.lower() + "-"
            if value == "*":
                others = max(others, quality)
            elif tag.startswith(wanted):
                longest, filtered = max((longest, filtered), (len(wanted), quality))
            elif wanted.startswith(tag):
                looked_up = max(looked_up, quality)
        if longest:
            return _Weight(filtered, (longest == len(tag), longest))
        # Lookup comes to the longer tag first: who reads zh-Hant-TW, to zh-Hant before zh.
        return _Weight(looked_up, (False, len(tag))) if looked_up else _Weight(others)


def parse_accept(field: str | None) -> Accept:
    """Read Accept (section 12.5.1).

    Args:
        field: repeated ones joined by ``", "``; :obj:`None` where absent.

    >>> parse_accept("text/*;q=0.3, text/html;level=1").quality("text/html")
    0.3
    """
    # Accept = #( media-range [ weight ] )
    ranges: list[MediaRange] = []
    for member in split_list(field or ""):
        match = _MEDIA_RANGE.match(member)
        read = None if match is None else _read_weight(member, match.end())
        if match is None or read is None:
            continue
        type_, subtype = (match[1] or "*").lower(), (match[2] or "*").lower()
        if type_ != "*" or subtype == "*":
            ranges.append(MediaRange(type_, subtype, *read))
    return Accept(tuple(ranges))


def parse_accept_encoding(field: str | None) -> AcceptEncoding:
    """Read Accept-Encoding (section 12.5.3).

    Args:
        field: repeated ones joined by ``", "``; :obj:`None` where absent.

    >>> "gzip" in parse_accept_encoding("gzip;q=0, *"), "br" in parse_accept_encoding("")
    (False, False)
    """
    # Accept-Encoding = #( codings [ weight ] )
    if field is None:
        return AcceptEncoding(None)
    codings = [
        Preference(_SAME_CODING.get(value.lower(), value.lower()), quality)
        for value, quality in _parse_weighted(field, _CODING)
    ]
    return AcceptEncoding(tuple(codings))


def prefer_codings(field: str | None, offers: Sequence[str]) -> list[str]:
    """Give those of ``offers`` that a client would rather have than none, the best first.

    As :meth:`AcceptEncoding.preferred` does, but for what browsers send in a tenth of the time.

    Args:
        field: Accept-Encoding, as for :func:`parse_accept_encoding`.
        offers: codings by their names of today, in lower case; not ``identity``.

    >>> prefer_codings("gzip, deflate, br", ["zstd", "br", "gzip"])
    ['br', 'gzip']
    """
    if field is not None and _are_coding_names(field):
        named = field.replace(" ", "").split(",")
        return [offer for offer in offers if offer in named]
    return parse_accept_encoding(field).preferred(offers)


def parse_accept_language(field: str | None) -> AcceptLanguage:
    """Read Accept-Language (section 12.5.4).

    Args:
        field: repeated ones joined by ``", "``; :obj:`None` where absent.

    >>> list(parse_accept_language("da, en-gb;q=0.8"))[1]
    Preference(value='en-gb', quality=0.8)
    """
    # Accept-Language = #( language-range [ weight ] )
    return AcceptLanguage(tuple(_parse_weighted(field or "", _LANGUAGE_RANGE)))


def _parse_weighted(field: str, word: re.Pattern[str]) -> Iterator[Preference]:
    for member in split_list(field):
        match = word.match(member)
        read = None if match is None else _read_weight(member, match.end())
        if match is not None and read is not None:
            yield Preference(match.group(), read[1])


def _read_weight(member: str, start: int) -> tuple[tuple[tuple[str, str], ...], float] | None:
    """Read what follows a range: its parameters, and its weight wherever it is among them."""
    if start == len(member):
        return (), 1.0
    pairs = parse_parameters(member, start, loose=True)
    # Which of two values counts, nobody can tell.
    if pairs is None or len(dict(pairs)) < len(set(pairs)):
        return None
    parameters = dict(pairs)
    weight = parameters.pop("q", "1")
    if _is_weight(weight) is None:
        return None
    normal = [(name, _normal(name, value)) for name, value in parameters.items()]
    return tuple(normal), round(float(weight), 3)


def _specificity(media_range: MediaRange, media_type: MediaType) -> tuple[bool, bool, int]:
    # A charset that the media type does not have makes a range no more specific.
    shared = sum(name in media_type.parameters for name, _ in media_range.parameters)
    return (*media_range.specificity[:2], shared)


def _normal(name: str, value: str) -> str:
    # What other parameters mean in another case is theirs to say (section 8.3.1).
    return value.lower() if name == "charset" else value


def _format_weight(quality: float) -> str:
    return "" if quality == 1 else f";q={quality:.3f}".rstrip("0").rstrip(".")


def _by_quality(preference: Preference) -> float:
    return -preference.quality
