"""Data structures: headers, query and form fields, URLs, addresses, state."""

from typing import TYPE_CHECKING

from asgikit._lazy import lazy_names

if TYPE_CHECKING:
    from asgikit.datastructures.address import Address
    from asgikit.datastructures.headers import Headers
    from asgikit.datastructures.mutable_headers import MutableHeaders
    from asgikit.datastructures.query import QueryParams
    from asgikit.datastructures.state import State
    from asgikit.datastructures.url import URL
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "Address": "asgikit.datastructures.address",
            "Headers": "asgikit.datastructures.headers",
            "MutableHeaders": "asgikit.datastructures.mutable_headers",
            "QueryParams": "asgikit.datastructures.query",
            "State": "asgikit.datastructures.state",
            "URL": "asgikit.datastructures.url",
        },
    )

__all__ = ["URL", "Address", "Headers", "MutableHeaders", "QueryParams", "State"]
