"""libmagic from its wheel: every machine detects types alike, and none has to install it."""

from __future__ import annotations

import ctypes
import os
from typing import Any


def _load() -> Any:
    """Import python-magic on top of pylibmagic, and take back what pylibmagic does to the process.

    It puts its folder into the library path of every child process and patches ctypes.
    """
    environment = dict(os.environ)
    original_init = ctypes.CDLL.__init__
    import pylibmagic

    try:
        import magic

        return magic.Magic(mime=True, magic_file=str(pylibmagic.data / "magic.mgc"))
    finally:
        ctypes.CDLL.__init__ = original_init  # type: ignore[method-assign]
        if hasattr(ctypes.CDLL, "__init_orig__"):
            delattr(ctypes.CDLL, "__init_orig__")
        os.environ.clear()
        os.environ.update(environment)


_detector = _load()


def libmagic_type(content: bytes) -> str:
    """The MIME type that libmagic reads from the bytes of a whole file."""
    return str(_detector.from_buffer(content))


def libmagic_type_of_descriptor(descriptor: int) -> str:
    """As libmagic_type, of an open file."""
    return str(_detector.from_descriptor(descriptor))
