"""The logger of the package; no handler is added to it.

======= ===================================================================================
ERROR   a failed background task; an error that is answered with a status of 500 or above
WARNING all worker threads of a kind are busy
DEBUG   a client that disconnected; a file that does not exist
======= ===================================================================================

Text from clients is logged through ``repr()`` only.
"""

from __future__ import annotations

import logging

__all__ = ["logger"]

logger: logging.Logger = logging.getLogger("asgikit")
