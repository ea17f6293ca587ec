"""Media types (:rfc:`9110`, section 8.3.1): Content-Type, and the types of files by their names."""

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
    """A media type with its parameters.

    ``str()`` formats it as the value of a header; :func:`parse_media_type` parses that.

    Args:
        type: A token, kept in lower case, since its case has no meaning.
        subtype: A token, kept in lower case.
        parameters: Values by name, the names kept in lower case; becomes an immutable mapping.

    Raises:
        ValueError: The type, the subtype or a name is no token; a value has a control character; or
            a parameter has two values, be it as ``name`` and ``name*`` (:rfc:`8187`).

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
        # A mapping proxy cannot be pickled.
        return MediaType, (self.type, self.subtype, dict(self.parameters))

    def __str__(self) -> str:
        parameters = [
            f"; {name}={value if is_token(value) else format_quoted_string(value)}"
            for name, value in self.parameters.items()
        ]
        return self.essence + "".join(parameters)

    @property
    def essence(self) -> str:
        """The type and the subtype without parameters: ``"text/html"``."""
        return f"{self.type}/{self.subtype}"

    @property
    def charset(self) -> str | None:
        """The ``charset`` in lower case; ``None`` if it is absent or empty."""
        return self.parameters.get("charset", "").lower() or None


def parse_media_type(text: str) -> MediaType | None:
    """Parse a media type (section 8.3.1).

    A parameter without DQUOTEs need not be a token, since some clients send other characters.

    Args:
        text: The value of Content-Type.

    Returns:
        The media type; ``None`` if ``text`` is malformed, or has two different values for one
        parameter. A proxy may have used the first value and asgikit the second, so neither is safe.

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
    """Return the media type of a file by its name.

    A few names have a type as a whole, such as ``apple-app-site-association``. Of any other name
    the extension decides, in any case. The table is part of asgikit, so that the registry of a
    machine does not change the type of a ``.js`` file.

    Args:
        filename: A name or a path with slashes.

    Returns:
        The media type without a charset; ``None`` if the extension is not known.

    >>> guess_media_type("static/app.JS"), guess_media_type("README")
    ('text/javascript', None)
    """
    name = posixpath.basename(filename)
    return _TYPES.get(posixpath.splitext(name)[1].lower()) or _NAMES.get(name)


# Files without an extension that a client fetches under a fixed name.
_NAMES = {
    # Apple, "Supporting associated domains"
    "apple-app-site-association": "application/json",
}

# A type is as registered in https://www.iana.org/assignments/media-types. If none is registered, it
# is the one that browsers or the vendor's documentation expect.
_EXTENSIONS = {
    # Text
    "text/calendar": ".ics .ifb",
    "text/css": ".css",
    "text/csv": ".csv",
    "text/html": ".html .htm",
    "text/javascript": ".js .mjs .cjs",
    "text/markdown": ".md .markdown",
    "text/n3": ".n3",
    "text/plain": ".txt .text .log .conf .ini .bat .c .h .ksh .pl .srt",
    "text/richtext": ".rtx",
    "text/tab-separated-values": ".tsv",
    "text/turtle": ".ttl",
    "text/vcard": ".vcf",
    "text/vtt": ".vtt",
    "text/x-python": ".py",
    "text/x-rst": ".rst",
    "text/x-setext": ".etx",
    "text/x-sgml": ".sgm .sgml",
    "text/x-ssa": ".ass .ssa",
    # Data
    "application/atom+xml": ".atom",
    "application/cbor": ".cbor",
    "application/geo+json": ".geojson",
    "application/gml+xml": ".gml",
    "application/gpx+xml": ".gpx",
    "application/json": ".json .map",
    "application/json5": ".json5",
    "application/ld+json": ".jsonld",
    "application/manifest+json": ".webmanifest",
    "application/mathml+xml": ".mathml .mml",
    "application/n-quads": ".nq",
    "application/n-triples": ".nt",
    "application/rdf+xml": ".rdf",
    "application/rss+xml": ".rss",
    "application/sql": ".sql",
    "application/toml": ".toml",
    "application/trig": ".trig",
    "application/ttml+xml": ".ttml",
    "application/vnd.apache.arrow.file": ".arrow",
    "application/vnd.apache.parquet": ".parquet",
    "application/vnd.google-earth.kml+xml": ".kml",
    "application/vnd.google-earth.kmz": ".kmz",
    "application/vnd.sqlite3": ".sqlite .sqlite3",
    "application/wasm": ".wasm",
    "application/wsdl+xml": ".wsdl",
    "application/x-hdf": ".hdf",
    "application/x-hdf5": ".h5",
    "application/x-ndjson": ".ndjson .jsonl",
    "application/x-netcdf": ".nc .cdf",
    "application/xhtml+xml": ".xhtml .xht",
    "application/xml": ".xml .xsl .xsd .xpdl",
    "application/xml-dtd": ".dtd",
    "application/xslt+xml": ".xslt",
    "application/yaml": ".yaml .yml",
    # Images
    "image/apng": ".apng",
    "image/avif": ".avif",
    "image/bmp": ".bmp",
    "image/emf": ".emf",
    "image/fits": ".fits",
    "image/g3fax": ".g3",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "image/ief": ".ief",
    "image/jp2": ".jp2",
    "image/jpeg": ".jpg .jpeg .jpe .jfif",
    "image/jpm": ".jpm",
    "image/jpx": ".jpx",
    "image/jxl": ".jxl",
    "image/ktx": ".ktx",
    "image/ktx2": ".ktx2",
    "image/png": ".png",
    "image/svg+xml": ".svg",
    "image/t38": ".t38",
    "image/tiff": ".tif .tiff",
    "image/tiff-fx": ".tfx",
    "image/vnd.adobe.photoshop": ".psd",
    "image/vnd.djvu": ".djvu .djv",
    "image/vnd.microsoft.icon": ".ico .cur",
    "image/webp": ".webp",
    "image/wmf": ".wmf",
    "image/x-cmu-raster": ".ras",
    "image/x-portable-anymap": ".pnm",
    "image/x-portable-bitmap": ".pbm",
    "image/x-portable-graymap": ".pgm",
    "image/x-portable-pixmap": ".ppm",
    "image/x-rgb": ".rgb",
    "image/x-xbitmap": ".xbm",
    "image/x-xpixmap": ".xpm",
    "image/x-xwindowdump": ".xwd",
    # Fonts
    "font/collection": ".ttc",
    "font/otf": ".otf",
    "font/ttf": ".ttf",
    "font/woff": ".woff",
    "font/woff2": ".woff2",
    "application/vnd.ms-fontobject": ".eot",
    # Audio
    "audio/aac": ".aac .adts .loas",
    "audio/basic": ".au .snd",
    "audio/flac": ".flac",
    "audio/matroska": ".mka",
    "audio/midi": ".mid .midi",
    "audio/mp4": ".m4a .m4b",
    "audio/mpeg": ".mp3 .mp2",
    "audio/ogg": ".ogg .oga .opus",
    "audio/wav": ".wav",
    "audio/webm": ".weba",
    "audio/x-aiff": ".aif .aifc .aiff",
    "audio/x-pn-realaudio": ".ra",
    "application/x-pn-realaudio": ".ram",
    # Video
    "application/dash+xml": ".mpd",
    "application/ogg": ".ogx",
    "application/vnd.apple.mpegurl": ".m3u8 .m3u",
    "video/3gpp": ".3gp .3gpp",
    "video/3gpp2": ".3g2 .3gpp2",
    "video/matroska": ".mkv",
    "video/matroska-3d": ".mk3d",
    "video/mp2t": ".ts .m2ts",
    "video/mp4": ".mp4 .m4v .m4s",
    "video/mpeg": ".mpg .mpeg .mpe .mpa .m1v",
    "video/ogg": ".ogv",
    "video/quicktime": ".mov .qt",
    "video/webm": ".webm",
    "video/x-flv": ".flv",
    "video/x-ms-wmv": ".wmv",
    "video/x-msvideo": ".avi",
    "video/x-sgi-movie": ".movie",
    # Models
    "model/3mf": ".3mf",
    "model/gltf+json": ".gltf",
    "model/gltf-binary": ".glb",
    "model/mtl": ".mtl",
    "model/obj": ".obj",
    "model/step": ".step .stp",
    "model/stl": ".stl",
    "model/vnd.collada+xml": ".dae",
    "model/vnd.usda": ".usda",
    "model/vnd.usdz+zip": ".usdz",
    # Documents
    "application/epub+zip": ".epub",
    "application/msword": ".doc .dot .wiz",
    "application/oda": ".oda",
    "application/pdf": ".pdf",
    "application/postscript": ".ps .eps .ai",
    "application/rtf": ".rtf",
    "application/texinfo": ".texi .texinfo",
    "application/vnd.amazon.ebook": ".azw",
    "application/vnd.comicbook+zip": ".cbz",
    "application/vnd.ms-excel": ".xls .xlb",
    "application/vnd.ms-powerpoint": ".ppt .pot .ppa .pps .pwz",
    "application/vnd.oasis.opendocument.graphics": ".odg",
    "application/vnd.oasis.opendocument.presentation": ".odp",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.presentationml.slideshow": ".ppsx",
    "application/vnd.openxmlformats-officedocument.presentationml.template": ".potx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.template": ".xltx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template": ".dotx",
    "application/x-dvi": ".dvi",
    "application/x-latex": ".latex",
    "application/x-mif": ".mif",
    "application/x-mobipocket-ebook": ".mobi .prc",
    "application/x-tex": ".tex",
    "application/x-troff": ".t .tr .roff",
    "application/x-troff-man": ".man",
    "application/x-troff-me": ".me",
    "application/x-troff-ms": ".ms",
    "message/rfc822": ".eml .mht .mhtml .nws",
    # Passes, settings and certificates
    "application/pkcs7-mime": ".p7c .p7m",
    "application/pkix-cert": ".cer",
    "application/pkix-crl": ".crl",
    "application/vnd.apple.pkpass": ".pkpass",
    "application/vnd.apple.pkpasses": ".pkpasses",
    "application/x-apple-aspen-config": ".mobileconfig",
    "application/x-pem-file": ".pem",
    "application/x-pkcs12": ".p12 .pfx",
    "application/x-x509-ca-cert": ".crt .der",
    # Archives and programs
    "application/appinstaller": ".appinstaller",
    "application/appx": ".appx",
    "application/appxbundle": ".appxbundle",
    "application/gzip": ".gz .tgz",
    "application/java-archive": ".jar",
    "application/msix": ".msix",
    "application/msixbundle": ".msixbundle",
    "application/octet-stream": ".bin .exe .dll .so .dmg .iso .img .deb .msi .a .o",
    "application/vnd.android.package-archive": ".apk",
    "application/vnd.ms-cab-compressed": ".cab",
    "application/vnd.rar": ".rar",
    "application/x-7z-compressed": ".7z",
    "application/x-bcpio": ".bcpio",
    "application/x-bittorrent": ".torrent",
    "application/x-bzip2": ".bz2",
    "application/x-cpio": ".cpio",
    "application/x-csh": ".csh",
    "application/x-gtar": ".gtar",
    "application/x-httpd-php": ".php",
    "application/x-java-jnlp-file": ".jnlp",
    "application/x-python-code": ".pyc .pyo",
    "application/x-rpm": ".rpm",
    "application/x-sh": ".sh",
    "application/x-shar": ".shar",
    "application/x-shockwave-flash": ".swf",
    "application/x-sv4cpio": ".sv4cpio",
    "application/x-sv4crc": ".sv4crc",
    "application/x-tar": ".tar",
    "application/x-tcl": ".tcl",
    "application/x-ustar": ".ustar",
    "application/x-wais-source": ".src",
    "application/x-xpinstall": ".xpi",
    "application/x-xz": ".xz",
    "application/zip": ".zip .whl",
    "application/zstd": ".zst",
}
_TYPES = {
    extension: media_type
    for media_type, extensions in _EXTENSIONS.items()
    for extension in extensions.split()
}
