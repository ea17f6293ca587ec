"""Paths of the checkout."""

from __future__ import annotations

from pathlib import Path

#: The top folder of the checkout.
ROOT = Path(__file__).parent.parent.parent
