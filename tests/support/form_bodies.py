"""Multipart bodies and the fields and files that they contain."""

from __future__ import annotations

from dataclasses import dataclass

BOUNDARY = "X"
CONTENT_TYPE = "multipart/form-data; boundary=X"
DISPOSITION = 'Content-Disposition: form-data; name="a"'


@dataclass(frozen=True)
class File:
    """A file in a form."""

    filename: str
    data: bytes
    content_type: str | None = None


def part(data: bytes, *lines: str) -> bytes:
    """Format a part with its delimiter; ``lines`` are its headers."""
    head = "".join(f"{line}\r\n" for line in lines or (DISPOSITION,))
    return b"--X\r\n" + head.encode() + b"\r\n" + data + b"\r\n"


def text(name: str, data: bytes) -> bytes:
    """Format a part with a text field."""
    return part(data, f'Content-Disposition: form-data; name="{name}"')


def file(name: str, filename: str, data: bytes, *lines: str) -> bytes:
    """Format a part with a file; ``lines`` are further headers."""
    disposition = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'
    return part(data, disposition, *lines)


def body(*parts: bytes, end: bytes = b"--X--\r\n") -> bytes:
    """Join parts to a body that ends with ``end``."""
    return b"".join(parts) + end


# Lines that resemble a delimiter.
LOOKALIKE = b"--Y\r\n--X-\r\n--Xx\r\n\r--X-\r\r\n-"

Items = list[tuple[str, str | File]]

# Each byte, and sequences that resemble the start of a delimiter.
HOSTILE = bytes(range(256)) + b"\r\n--Y\r\n--\r\n-\r\r\n\r--X\n--X\r"

VALID: dict[str, tuple[bytes, Items]] = {
    "one field": (body(text("a", b"1")), [("a", "1")]),
    "no field": (b"--X--\r\n", []),
    "empty names and values": (body(text("", b""), text("a", b"")), [("", ""), ("a", "")]),
    "order and repetition": (
        body(text("a", b"1"), text("b", b"2"), text("a", b"3")),
        [("a", "1"), ("b", "2"), ("a", "3")],
    ),
    "a file": (
        body(file("f", "x.txt", b"data", "Content-Type: text/plain")),
        [("f", File("x.txt", b"data", "text/plain"))],
    ),
    "a file input without a file": (
        body(file("f", "", b"", "Content-Type: application/octet-stream")),
        [("f", File("", b"", "application/octet-stream"))],
    ),
    "a field between files": (
        body(file("f", "1", b"one"), text("a", b"v"), file("f", "2", b"two")),
        [("f", File("1", b"one")), ("a", "v"), ("f", File("2", b"two"))],
    ),
    "all bytes": (
        body(file("f", "x", HOSTILE), file("g", "y", b"\r\n" + HOSTILE)),
        [("f", File("x", HOSTILE)), ("g", File("y", b"\r\n" + HOSTILE))],
    ),
    "text that resembles a delimiter": (
        body(text("a", b"1"), text("b", LOOKALIKE), text("c", b"\r\n")),
        [("a", "1"), ("b", LOOKALIKE.decode()), ("c", "\r\n")],
    ),
    "small files with a type": (
        body(
            file("f", "a b.txt", b"1", "Content-Type: text/plain; charset=utf-8"),
            part(b"2", DISPOSITION, "Content-Type: text/plain; charset=utf-8"),
            file("g", "", b"", "Content-Type: a/b"),
        ),
        [
            ("f", File("a b.txt", b"1", "text/plain; charset=utf-8")),
            ("a", "2"),
            ("g", File("", b"", "a/b")),
        ],
    ),
    "non-ASCII names": (
        body(file("naïve", "żółw 日本.txt", b"D")),
        [("naïve", File("żółw 日本.txt", b"D"))],
    ),
    "non-ASCII text": (body(text("a", "žlutý 🐎".encode())), [("a", "žlutý 🐎")]),
    "a quoted name": (body(text("a%22b", b"v")), [('a"b', "v")]),
    "a charset": (
        body(part(b"caf\xe9", DISPOSITION, "Content-Type: text/plain; charset=ISO-8859-1")),
        [("a", "café")],
    ),
    # Browsers send this field only if the form has it (HTML, "Constructing the entry list").
    "_charset_": (
        body(text("_charset_", b"iso-8859-1"), text("a", "é".encode())),
        [("_charset_", "iso-8859-1"), ("a", "é")],
    ),
    "header names in any case": (
        body(part(b"v", 'cOnTeNt-dIsPoSiTiOn: form-data; name="a"')),
        [("a", "v")],
    ),
    "white space around values": (
        body(part(b"v", f'{DISPOSITION}; filename="x" ', "Content-Type: \ttext/plain\t")),
        [("a", File("x", b"v", "text/plain"))],
    ),
    "other headers": (
        body(part(b"v", "X-Other: ž\t1", DISPOSITION, "Content-Length: 700", "X-Empty:")),
        [("a", "v")],  # the delimiter ends the part, not its Content-Length
    ),
    "a transfer encoding": (
        body(part(b"dg==", DISPOSITION, "Content-Transfer-Encoding: base64")),
        [("a", "dg==")],  # ignored (RFC 7578, section 4.7)
    ),
    "a preamble": (b"A form.\r\n--Y\r\n--\r\n" + body(text("a", b"v")), [("a", "v")]),
    "empty lines before the first delimiter": (b"\r\n\r\n" + body(text("a", b"v")), [("a", "v")]),
    "an epilogue": (body(text("a", b"v")) + body(text("b", b"no")), [("a", "v")]),
    "white space after a delimiter": (
        body(text("a", b"v"), end=b"--X \t\r\n") + body(text("b", b"w"))[len(b"--X\r\n") :],
        [("a", "v"), ("b", "w")],
    ),
    "white space after the first delimiter": (
        b"--X\t \r\n" + body(text("a", b"v"), text("b", b"w"))[len(b"--X\r\n") :],
        [("a", "v"), ("b", "w")],
    ),
    "white space after a preamble and a delimiter": (
        b"A form.\r\n--X \r\n" + body(text("a", b"v"))[len(b"--X\r\n") :],
        [("a", "v")],
    ),
    "a directory in a name": (
        body(file("f", "C:\\fakepath\\x.txt", b"v")),
        [("f", File("x.txt", b"v"))],
    ),
}


def shortest_complete_size(data: bytes) -> int:
    """Return the size of the shortest prefix of ``data`` that is a complete form."""
    return data.index(b"--X--") + len(b"--X--")
