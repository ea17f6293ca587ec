"""HTTP semantics (:rfc:`9110`) as pure functions: text or bytes in, values out.

There is no ``await``, clock, file or ASGI in here. Each module parses and formats one feature of
HTTP, and can be used, tested and fuzzed alone.

A parser returns a value to obey, or ``None`` for a header to ignore. It raises an exception only if
the request is to be answered with the status of that exception.
"""
