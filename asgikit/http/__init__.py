"""What HTTP means, as pure functions: text or bytes in, values out.

No ``await``, no clock, no file, no ASGI. Each module reads and writes one feature and can be used,
tested and fuzzed alone.
"""
