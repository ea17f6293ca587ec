"""The URL and the route path of a request, in every layout of path, raw_path and root_path."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.datastructures.request_url import request_url, route_path


def scope(path: str, raw_path: object, root_path: object, **more: Any) -> dict[str, Any]:
    headers = [(b"host", b"a.example")]
    return {
        "type": "http",
        "path": path,
        "raw_path": raw_path,
        "root_path": root_path,
        "headers": headers,
        **more,
    }


APP_ROOT_API = {"app_root_path": "/api"}
APP_ROOT_EMPTY = {"app_root_path": ""}

# path, raw_path, root_path, further entries; path of the URL, route path.
LAYOUTS: dict[str, tuple[str, object, object, dict[str, Any], str, str]] = {
    "no root path": ("/x", b"/x", "", {}, "/x", "/x"),
    "no root path, an escape": ("/a/b", b"/a%2Fb", "", {}, "/a%2Fb", "/a/b"),
    "root path is None": ("/x", None, None, {}, "/x", "/x"),
    "uvicorn": ("/api/x y", b"/api/x%20y", "/api", {}, "/api/x%20y", "/x y"),
    "uvicorn, the root itself": ("/api", b"/api", "/api", {}, "/api", "/"),
    "uvicorn, the root and a slash": ("/api/", b"/api/", "/api", {}, "/api/", "/"),
    "uvicorn, the root repeated": ("/api/api/x", b"/api/api/x", "/api", {}, "/api/api/x", "/api/x"),
    "hypercorn, daphne, granian": ("/x y", b"/x%20y", "/api", {}, "/api/x%20y", "/x y"),
    "hypercorn, a slash": ("/", b"/", "/api", {}, "/api/", "/"),
    "hypercorn, no raw path": ("/a b", None, "/api", {}, "/api/a%20b", "/a b"),
    "hypercorn, a prefix of a segment": (
        "/apidocs", b"/apidocs", "/api", {}, "/api/apidocs", "/apidocs",
    ),
    "hypercorn, an escaped slash": ("/a/b", b"/a%2Fb", "/api", {}, "/api/a%2Fb", "/a/b"),
    # It cannot be told from uvicorn: see the module.
    "hypercorn, the root repeated": ("/api/x", b"/api/x", "/api", {}, "/api/x", "/x"),
    "a slash at the end of the root": ("/x", b"/x", "/api/", {}, "/api/x", "/x"),
    "a root of one slash": ("/x", b"/x", "/", {}, "/x", "/x"),
    "a root without a slash": ("/api/x", b"/api/x", "api", {}, "/api/x", "/x"),
    "a root beyond ASCII": ("/caf\xe9/x", b"/caf%C3%A9/x", "/caf\xe9", {}, "/caf%C3%A9/x", "/x"),
    "a root with a space, raw": ("/a b/x", b"/a b/x", "/a b", {}, "/a%20b/x", "/x"),
    "Starlette's Mount": ("/sub/x", b"/sub/x", "/sub", APP_ROOT_EMPTY, "/sub/x", "/x"),
    "Starlette's Mount, the mount itself": ("/sub", b"/sub", "/sub", APP_ROOT_EMPTY, "/sub", "/"),
    "Starlette's Mount, uvicorn": (
        "/api/sub/x", b"/api/sub/x", "/api/sub", APP_ROOT_API, "/api/sub/x", "/x",
    ),
    "Starlette's Mount, hypercorn": (
        "/sub/x", b"/sub/x", "/api/sub", APP_ROOT_API, "/api/sub/x", "/x",
    ),
    "Starlette's Mount, hypercorn, an escape": (
        "/sub/a/b", b"/sub/a%2Fb", "/api/sub", APP_ROOT_API, "/api/sub/a%2Fb", "/a/b",
    ),
    "Starlette's Mount, hypercorn, no raw path": (
        "/sub/x", None, "/api/sub", APP_ROOT_API, "/api/sub/x", "/x",
    ),
    "two mounts of Starlette, hypercorn": (
        "/sub/in/x", b"/sub/in/x", "/api/sub/in", APP_ROOT_API, "/api/sub/in/x", "/x",
    ),
    "Starlette's Mount, hypercorn, a slash at the end of the root": (
        "/sub/x", b"/sub/x", "/api/sub", {"app_root_path": "/api/"}, "/api/sub/x", "/x",
    ),
    "Starlette before 0.33": ("/x", b"/sub/x", "/sub", APP_ROOT_EMPTY, "/sub/x", "/x"),
    "Starlette before 0.33, the mount repeated": (
        "/sub/x", b"/sub/sub/x", "/sub", APP_ROOT_EMPTY, "/sub/sub/x", "/sub/x",
    ),
    "Starlette before 0.33, hypercorn": (
        "/x", b"/sub/x", "/api/sub", APP_ROOT_API, "/api/sub/x", "/x",
    ),
    "Starlette before 0.33, hypercorn, the mount repeated": (
        "/sub/y", b"/sub/sub/y", "/api/sub", APP_ROOT_API, "/api/sub/sub/y", "/sub/y",
    ),
    "a foreign app_root_path": ("/x", b"/x", "/api", {"app_root_path": "/y"}, "/y/x", "/x"),
    "an app_root_path of another type": ("/x", b"/x", "/api", {"app_root_path": 1}, "/api/x", "/x"),
    "hypercorn's dispatcher": ("/x", b"/sub/x", "/sub", {}, "/sub/x", "/x"),
    "hypercorn's dispatcher, the mount repeated": (
        "/sub/x", b"/sub/sub/x", "/sub", {}, "/sub/sub/x", "/sub/x",
    ),
    "hypercorn's dispatcher below a root": ("/x", b"/sub/x", "/api/sub", {}, "/api/sub/x", "/x"),
    "hypercorn's dispatcher, the mount itself": ("/", b"/sub", "/api/sub", {}, "/api/sub", "/"),
    # Litestar ends the path with a slash.
    "Litestar's mount": ("/x/", b"/sub/x", "", {}, "/sub/x", "/x"),
    "Litestar's mount, an escape": ("/a/b/", b"/sub/a%2Fb", "", {}, "/sub/a%2Fb", "/a/b"),
    "Litestar's mount, a slash": ("/x/", b"/sub/x/", "", {}, "/sub/x/", "/x/"),
    "Litestar's mount itself": ("/", b"/sub", "", {}, "/sub", "/"),
    "Litestar's mount, uvicorn": ("/x/", b"/api/sub/x", "/api", {}, "/api/sub/x", "/x"),
    "Litestar's mount, uvicorn, the root repeated": (
        "/api/x/", b"/api/sub/api/x", "/api", {}, "/api/sub/api/x", "/api/x",
    ),
    "Litestar's mount, hypercorn": ("/x/", b"/sub/x", "/api", {}, "/api/sub/x", "/x"),
    "Starlette's Mount in Litestar's": (
        "/in/x/", b"/sub/in/x", "/in", APP_ROOT_EMPTY, "/sub/in/x", "/x",
    ),
    "a middleware adds the root to the path only": ("/api/x", b"/x", "/api", {}, "/api/x", "/x"),
    "a middleware adds a repeated root to the path": (
        "/api/api/x", b"/api/x", "/api", {}, "/api/api/x", "/api/x",
    ),
    "a middleware rewrites the path": ("/new", b"/old/1", "", {}, "/old/1", "/new"),
    "a query in the raw path": ("/x", b"/x?a=/y", "/api", {}, "/api/x", "/x"),
    "a query in the raw path of a mount": ("/x/", b"/sub/x?a", "", {}, "/sub/x", "/x"),
    "h11, an absolute form": (
        "http://a.example/a/b", b"http://a.example/a%2Fb", "", {}, "/a%2Fb", "/a/b",
    ),
    "h11, an absolute form without a path": (
        "http://a.example", b"http://a.example", "/api", {}, "/api/", "/",
    ),
    "an absolute form": ("/a/b", b"http://evil.example/a%2Fb", "", {}, "/a%2Fb", "/a/b"),
    "an absolute form, a root": ("/x", b"http://evil.example/x?y", "/api", {}, "/api/x", "/x"),
    "an absolute form without a path": ("/", b"http://evil.example", "", {}, "/", "/"),
    "no escapes in the raw path": ("/a?b", b"/a?b", "", {}, "/a%3Fb", "/a?b"),
    "odd bytes in the raw path": ("/a/|[x]", b"/a/|[x]", "/a", {}, "/a/%7C%5Bx%5D", "/|[x]"),
    "odd bytes in the raw path of a mount": ("/|/", b"/sub/|", "", {}, "/sub/%7C", "/|"),
    "a raw path that is empty": ("/x", b"", "/api", {}, "/api/x", "/x"),
    "a raw path that is an authority": ("/x", b"a.example:80", "/api", {}, "/api/x", "/x"),
    "a raw path of str": ("/x", "/y", "/api", {}, "/api/x", "/x"),
    "an empty path": ("", b"", "", {}, "", "/"),
    "an empty path, a root": ("", None, "/api", {}, "/api", "/"),
    "OPTIONS *": ("*", b"*", "", {}, "", "/*"),
    "no slash": ("x", None, "/api", {}, "/api/x", "/x"),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_url_is_requested_one_in_every_layout(layout: str) -> None:
    path, raw_path, root_path, more, expected, _ = LAYOUTS[layout]

    url = request_url(scope(path, raw_path, root_path, **more))

    assert str(url) == f"http://a.example{expected}"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_route_path_is_below_root_and_mount_in_every_layout(layout: str) -> None:
    path, raw_path, root_path, more, _, expected = LAYOUTS[layout]

    assert route_path(scope(path, raw_path, root_path, **more)) == expected


segment = st.text("ab/% \xe9", min_size=1, max_size=4).filter(lambda text: text.strip("/"))
prefix = st.just("") | segment.map(lambda text: "/" + text.strip("/"))


@pytest.mark.property
@given(root=prefix, mount=prefix, rest=segment, with_raw=st.booleans())
def test_url_and_route_path_are_alike_on_every_server(
    root: str, mount: str, rest: str, *, with_raw: bool
) -> None:
    route = "/" + rest
    below = mount + route
    for path in (root + below, below):
        if path == below and (below + "/").startswith(root + mount + "/"):
            continue  # a repeated root, which cannot be told
        raw_path = quote(path).encode() if with_raw else None
        mounted = scope(path, raw_path, root + mount, app_root_path=root)

        assert unquote(request_url(mounted).path) == root + below
        assert route_path(mounted) == route


hostile = st.none() | st.integers() | st.binary(max_size=8) | st.text(max_size=8)


@pytest.mark.property
@given(path=hostile, raw_path=hostile, root=hostile, app_root=hostile, query=hostile)
def test_url_and_route_path_never_raise(
    path: Any, raw_path: Any, root: Any, app_root: Any, query: Any
) -> None:
    hostile_scope = scope(path, raw_path, root, app_root_path=app_root, query_string=query)

    assert request_url(hostile_scope).hostname == "a.example"
    assert route_path(hostile_scope).startswith("/")
