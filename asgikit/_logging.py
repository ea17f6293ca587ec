"""The logger of the package: ERROR for failed background tasks, DEBUG for disconnects."""

from __future__ import annotations

import logging

__all__ = ["logger"]

logger: logging.Logger = logging.getLogger("asgikit")
