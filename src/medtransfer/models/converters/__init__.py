"""Files that no safe reader understands, turned into safetensors on request and in isolation.

Looking up a converter imports neither torch nor numpy; its code runs in a process of its own.
"""

from __future__ import annotations

from medtransfer.models.converters.registry import Converter, converters

__all__ = ["Converter", "converters"]
