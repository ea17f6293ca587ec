"""Media types (:rfc:`9110`, section 8.3.1): Content-Type, its parameters, and a file's own type."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from asgikit.http.grammar import TOKEN, format_quoted_string, is_token, parse_parameters

__all__ = ["MediaType", "guess_media_type", "parse_media_type"]

# media-type = type "/" subtype parameters
# type       = token
# subtype    = token
_TYPE = re.compile(rf"[ \t]*+({TOKEN})/({TOKEN})")


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type; ``str()`` writes it as a field value, which :func:`parse_media_type` reads.

    Args:
        type: a token; kept in lower case, as it means the same in any.
        subtype: a token; likewise.
        parameters: values by name, the names likewise; becomes an immutable mapping.

    Raises:
        ValueError: a type, a subtype or a name is no token; a value has a control character; or
            a parameter has two values, where ``name*`` (:rfc:`8187`) is another one of ``name``.

    >>> html = MediaType("text", "html", {"charset": "UTF-8"})
    >>> str(html), html.essence, html.charset
    ('text/html; charset=UTF-8', 'text/html', 'utf-8')
    """

    type: str
    subtype: str
    parameters: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)

    def __post_init__(self) -> None:
        parameters = {name.lower(): value for name, value in self.parameters.items()}
        for token in (self.type, self.subtype, *parameters):
            if not is_token(token):
                raise ValueError(f"a media type is made of tokens, and {token!r} is none")
        for value in parameters.values():
            format_quoted_string(value)
        twice = [name for name in parameters if f"{name}*" in parameters]
        if twice or len(parameters) < len(self.parameters):
            raise ValueError(f"a parameter has two values: {dict(self.parameters)!r}")
        object.__setattr__(self, "type", self.type.lower())
        object.__setattr__(self, "subtype", self.subtype.lower())
        object.__setattr__(self, "parameters", MappingProxyType(parameters))

    def __reduce__(self) -> tuple[Any, ...]:
        # A view of a mapping does not pickle.
        return MediaType, (self.type, self.subtype, dict(self.parameters))

    def __str__(self) -> str:
        parameters = [
            f"; {name}={value if is_token(value) else format_quoted_string(value)}"
            for name, value in self.parameters.items()
        ]
        return self.essence + "".join(parameters)

    @property
    def essence(self) -> str:
        """The type and the subtype alone: ``"text/html"``."""
        return f"{self.type}/{self.subtype}"

    @property
    def charset(self) -> str | None:
        """The ``charset`` in lower case; :obj:`None` where absent or empty."""
        return self.parameters.get("charset", "").lower() or None


def parse_media_type(text: str) -> MediaType | None:
    """Read a media type.

    Args:
        text: a Content-Type field value.

    Returns:
        The media type; or :obj:`None` where ``text`` is malformed, or gives a parameter two
        different values: whichever we took, somebody before us may have gone by the other one.

    >>> parse_media_type('multipart/form-data; boundary="a b"').parameters["boundary"]
    'a b'
    """
    match = _TYPE.match(text)
    if match is None:
        return None
    pairs = parse_parameters(text, match.end(), loose=True)
    if pairs is None:
        return None
    parameters = dict(pairs)
    if len(parameters) < len(set(pairs)):
        return None
    try:
        return MediaType(match[1], match[2], parameters)
    except ValueError:
        return None


def guess_media_type(filename: str) -> str | None:
    """Tell a file's media type by the extension of its name, in any case.

    The table is our own, so that no machine's registry changes what a ``.js`` is.

    Returns:
        The media type, text without a charset; or :obj:`None` where the extension is not known.

    >>> guess_media_type("static/app.JS"), guess_media_type("README")
    ('text/javascript', None)
    """
    return _TYPES.get(posixpath.splitext(filename)[1].lower())


# By the registry of https://www.iana.org/assignments/media-types, and where it has none, by what
# browsers know.
_EXTENSIONS = {
    # Text
    "text/calendar": ".ics",
    "text/css": ".css",
    "text/csv": ".csv",
    "text/html": ".html .htm",
    "text/javascript": ".js .mjs .cjs",
    "text/markdown": ".md .markdown",
    "text/plain": ".txt .text .log .conf .ini",
    "text/tab-separated-values": ".tsv",
    "text/vcard": ".vcf",
    "text/vtt": ".vtt",
    "text/x-python": ".py",
    # Data
    "application/atom+xml": ".atom",
    "application/geo+json": ".geojson",
    "application/json": ".json .map",
    "application/ld+json": ".jsonld",
    "application/manifest+json": ".webmanifest",
    "application/rss+xml": ".rss",
    "application/sql": ".sql",
    "application/toml": ".toml",
    "application/wasm": ".wasm",
    "application/x-ndjson": ".ndjson .jsonl",
    "application/xhtml+xml": ".xhtml .xht",
    "application/xml": ".xml .xsl .xsd",
    "application/yaml": ".yaml .yml",
    # Images
    "image/apng": ".apng",
    "image/avif": ".avif",
    "image/bmp": ".bmp",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "image/jpeg": ".jpg .jpeg .jpe .jfif",
    "image/jxl": ".jxl",
    "image/png": ".png",
    "image/svg+xml": ".svg",
    "image/tiff": ".tif .tiff",
    "image/vnd.microsoft.icon": ".ico .cur",
    "image/webp": ".webp",
    # Fonts
    "font/collection": ".ttc",
    "font/otf": ".otf",
    "font/ttf": ".ttf",
    "font/woff": ".woff",
    "font/woff2": ".woff2",
    "application/vnd.ms-fontobject": ".eot",
    # Sound
    "audio/aac": ".aac",
    "audio/flac": ".flac",
    "audio/midi": ".mid .midi",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg .oga .opus",
    "audio/wav": ".wav",
    "audio/webm": ".weba",
    # Video
    "application/dash+xml": ".mpd",
    "application/vnd.apple.mpegurl": ".m3u8",
    "video/matroska": ".mkv",
    "video/mp2t": ".ts .m2ts",
    "video/mp4": ".mp4 .m4v .m4s",
    "video/mpeg": ".mpg .mpeg",
    "video/ogg": ".ogv",
    "video/quicktime": ".mov .qt",
    "video/webm": ".webm",
    "video/x-msvideo": ".avi",
    # Models
    "model/gltf+json": ".gltf",
    "model/gltf-binary": ".glb",
    "model/stl": ".stl",
    # Documents
    "application/epub+zip": ".epub",
    "application/msword": ".doc",
    "application/pdf": ".pdf",
    "application/postscript": ".ps .eps .ai",
    "application/rtf": ".rtf",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.ms-powerpoint": ".ppt",
    "application/vnd.oasis.opendocument.presentation": ".odp",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    # Archives and programs
    "application/gzip": ".gz .tgz",
    "application/java-archive": ".jar",
    "application/octet-stream": ".bin .exe .dll .so .dmg .iso .img .deb .msi",
    "application/vnd.android.package-archive": ".apk",
    "application/vnd.rar": ".rar",
    "application/x-7z-compressed": ".7z",
    "application/x-bzip2": ".bz2",
    "application/x-sh": ".sh",
    "application/x-tar": ".tar",
    "application/x-xz": ".xz",
    "application/zip": ".zip .whl",
    "application/zstd": ".zst",
}
_TYPES = {
    extension: media_type
    for media_type, extensions in _EXTENSIONS.items()
    for extension in extensions.split()
}
