"""The accelerator: the module `_speedups`, which writes contexts and makes the call of a local evaluation in C.

Without it, results are the same and evaluations slower. `MODULE` is None if the environment has MPFLAGS_PURE, or if the
interpreter cannot load it: the module is for CPython with a GIL.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def _load() -> ModuleType | None:
    if os.environ.get("MPFLAGS_PURE") or "t" in getattr(sys, "abiflags", ""):
        return None
    try:
        from . import _speedups  # noqa: PLC0415 - it may be absent
    except ImportError:
        return None
    return _speedups


MODULE = _load()
