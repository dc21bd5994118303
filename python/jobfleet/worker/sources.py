"""The sources of the user's modules: which files they are, and whether any of them has changed."""

import os
import sys
import zlib
from contextlib import suppress
from importlib.util import cache_from_source

_MOST = 2_000
"""The list goes into one message; a pool with more modules of its own is watched by these."""

_YOUNG_S = 2.0

_STANDARD = os.path.dirname(os.__file__) + os.sep
_OWN = os.path.dirname(os.path.dirname(__file__)) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def user_files() -> list[str]:
    """The files of every imported module that belongs neither to Python, nor to jobfleet, nor to a package."""
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return sorted(file for file in files if isinstance(file, str) and _is_users(file))[:_MOST]


def fingerprint(files: list[str]) -> str:
    """Changes with any of these files, as far as their times and sizes tell."""
    told = "\n".join(f"{file} {_state(file)}" for file in files)
    return f"{zlib.crc32(told.encode(errors='surrogateescape')):08x}"


def drop_young_bytecode(files: list[str], since_s: float) -> None:
    """Remove the cached bytecode of files that were written shortly before `since_s` (time of the clock) or later.

    Python recognises it by the second of the source's time and by its size, so a second change within that second
    would go unseen in the next load.
    """
    for file in files:
        with suppress(OSError, NotImplementedError):
            if os.stat(file).st_mtime >= since_s - _YOUNG_S:
                os.unlink(cache_from_source(file))


def _is_users(file: str) -> bool:
    if file.startswith(_OWN) or any(mark in file for mark in _INSTALLED):
        return False
    return os.path.isabs(file) and not file.startswith(_STANDARD)


def _state(file: str) -> str:
    try:
        found = os.stat(file)
    except OSError:
        return "gone"
    return f"{found.st_mtime_ns} {found.st_size}"
