"""Checks of the callables that apps are made from, and of the values that they return."""

from __future__ import annotations

import functools
import inspect
from typing import Any

__all__ = ["accepts", "check_returned", "expects_request", "has_varargs", "read_signature"]


def accepts(function: Any, count: int) -> bool:
    """Return whether ``function`` can be called with ``count`` positional arguments.

    If the signature of an object cannot be read, or is ``(*args)``, as some decorators leave it, it
    is assumed to be that of an ASGI 3 app.

    >>> [accepts(lambda scope, receive, send: None, count) for count in (1, 3)]
    [False, True]
    """
    if not callable(function):
        return False
    if inspect.isfunction(function) and not hasattr(function, "__wrapped__"):
        # Each request of an ASGI 2 closure asks this, and inspect.signature() takes 15 us.
        return _accepts_by_code(function, count)
    signature = read_signature(function)
    if signature is None:
        return count == 3 and not isinstance(function, type)
    if not inspect.isroutine(function) and not isinstance(function, type) and _is_any(signature):
        return count == 3
    try:
        signature.bind(*(None,) * count)
    except TypeError:
        return False
    return True


def _accepts_by_code(function: Any, count: int) -> bool:
    code = function.__code__
    if code.co_kwonlyargcount > len(function.__kwdefaults__ or ()):
        return False
    required = code.co_argcount - len(function.__defaults__ or ())
    return required <= count and (
        count <= code.co_argcount or bool(code.co_flags & inspect.CO_VARARGS)
    )


def read_signature(function: Any) -> inspect.Signature | None:
    """Return the signature by which a callable is called; ``None`` if it cannot be read."""
    if not (inspect.isroutine(function) or isinstance(function, type | functools.partial)):
        # Of an instance, `__call__` may be a slot or another descriptor, which `signature` cannot
        # read before Python 3.13. SentryAsgiMiddleware has a slot.
        function = function.__call__
    try:
        # The wrapper is called, not the function that it wraps, unless it passes everything on.
        signature = inspect.signature(function, follow_wrapped=False)
        return inspect.signature(function) if has_varargs(signature) else signature
    except (TypeError, ValueError):
        return None


def has_varargs(signature: inspect.Signature) -> bool:
    """Return whether a signature has ``*args``."""
    return any(
        parameter.kind is parameter.VAR_POSITIONAL for parameter in signature.parameters.values()
    )


def _is_any(signature: inspect.Signature) -> bool:
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    return inspect.Parameter.VAR_POSITIONAL in kinds and kinds <= {
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.VAR_KEYWORD,
    }


def expects_request(function: Any) -> bool:
    """Return whether the first parameter of ``function`` is annotated as a request.

    >>> def handler(request: "Request") -> None: ...
    >>> expects_request(handler)
    True
    """
    function = getattr(function, "__func__", function)
    annotations: dict[str, Any] = getattr(function, "__annotations__", None) or {}
    code = getattr(function, "__code__", None)
    parameters = code.co_varnames[: code.co_argcount] if code is not None else ()
    annotation = next((annotations[name] for name in parameters if name in annotations), None)
    name: str = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return name.strip("\"'").partition("[")[0].rpartition(".")[2] == "Request"


def check_returned(name: str, value: Any) -> None:
    """Raise :exc:`TypeError` if ``value``, returned by the function ``name``, is no ASGI app.

    >>> check_returned("show_user", {"name": "Ada"})
    Traceback (most recent call last):
    TypeError: show_user returned a dict: return a response, such as JSONResponse(...)
    """
    is_class = isinstance(value, type)
    # A class whose instances are awaitable is an ASGI 3 app: starlette.endpoints.HTTPEndpoint.
    if callable(value) and (not is_class or hasattr(value, "__await__")):
        return
    if value is None:
        problem = "returned None, perhaps without a return statement: return a response"
    elif is_class:
        problem = f"returned the class {value.__name__}: return an instance of a response class"
    elif inspect.iscoroutine(value):
        value.close()
        problem = "returned a coroutine: await it, and return a response"
    else:
        problem = f"returned a {type(value).__name__}: return a response"
    raise TypeError(f"{name} {problem}, such as JSONResponse(...)")
