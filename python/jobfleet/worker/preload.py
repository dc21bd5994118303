"""What must not cross a fork: threads, sockets and event loops that handler modules made while they were imported."""

import gc
import os
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

_REMEDY = "make it in an @on_start hook instead"
_MOST_REFERRERS = 200
"""Enough to climb from a socket to the module that holds it; each costs a look at every object there is."""


def open_descriptors() -> dict[int, str]:
    """What each descriptor of this process refers to."""
    found: dict[int, str] = {}
    for entry in os.listdir("/proc/self/fd"):
        try:
            found[int(entry)] = os.readlink(f"/proc/self/fd/{entry}")
        except OSError:
            continue
    return found


def hazards(before: dict[int, str], handlers: list[str]) -> list[str]:
    """One sentence for each thing that workers would share or miss.

    `before` are the descriptors from before the import of `handlers`.
    """
    unknown = f"a module that {', '.join(handlers)} imports"
    return [
        f"{holder or unknown} {what} while it is imported; {_REMEDY}"
        for holder, what in [*_threads(), *_loops(), *_sockets(before)]
    ]


def native_threads_note() -> str | None:
    """A note on threads that Python does not know of; libraries that make some can cope with a fork."""
    threads = len(os.listdir("/proc/self/task"))
    if threads <= 1:
        return None
    makers = sorted({name for name in _native_packages() if name != "jobfleet"})
    return f"{threads - 1} native threads run after the import of {', '.join(makers[:4])}; workers start without them"


def _native_packages() -> Iterator[str]:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if file.endswith(".so") and "site-packages" in file:
            yield name.partition(".")[0]


_Hazard = tuple[str | None, str]
"""The module that is to blame, and what it does."""


def _threads() -> Iterator[_Hazard]:
    named = {thread.ident: thread for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        if ident != threading.get_ident():
            thread = named.get(ident)
            shown = "a thread" if thread is None else f"the thread {thread.name!r}"
            yield _starter(thread, frame), f"starts {shown}, which no fork carries over,"


def _starter(thread: threading.Thread | None, frame: FrameType) -> str | None:
    """The module whose code the thread runs, or who holds it."""
    target = getattr(getattr(thread, "_target", None), "__module__", None)
    if target is not None and not _is_standard(target):
        return f"module {target!r}"
    current: FrameType | None = frame
    while current is not None:
        name = current.f_globals.get("__name__", "")
        if name and not _is_standard(name):
            return f"module {name!r}"
        current = current.f_back
    return None if thread is None else _holder(thread)


def _is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def _loops() -> Iterator[_Hazard]:
    for loop in _open_loops():
        yield _holder(loop), "makes an event loop, which workers would share,"


def _open_loops() -> list[Any]:
    return [candidate for candidate in gc.get_objects() if _is_open_loop(candidate)]


def _is_open_loop(candidate: Any) -> bool:
    # Importing asyncio would cost the pools that do without it more than everything else here.
    asyncio = sys.modules.get("asyncio")
    try:
        return asyncio is not None and isinstance(candidate, asyncio.AbstractEventLoop) and not candidate.is_closed()
    except Exception:
        return False


def _sockets(before: dict[int, str]) -> Iterator[_Hazard]:
    known = {candidate.fileno(): candidate for candidate in gc.get_objects() if isinstance(candidate, socket.socket)}
    own = {end.fileno() for loop in _open_loops() for end in _self_pipe(loop)}
    for descriptor, meaning in open_descriptors().items():
        if meaning.startswith("socket:") and before.get(descriptor) != meaning and descriptor not in own:
            holder = _holder(known[descriptor]) if descriptor in known else None
            yield holder, f"opens {_described(descriptor)}, which workers would share,"


def _self_pipe(loop: Any) -> list[socket.socket]:
    """The sockets with which a loop wakes itself; it is named itself."""
    ends = (getattr(loop, "_ssock", None), getattr(loop, "_csock", None))
    return [end for end in ends if isinstance(end, socket.socket)]


def _described(descriptor: int) -> str:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            peer = copy.getpeername()
    except OSError:
        return f"a socket (descriptor {descriptor})"
    return f"a connection to {peer[0]}:{peer[1]}" if isinstance(peer, tuple) else f"a connection to {peer!r}"


def _holder(thing: object) -> str | None:
    """The module outside of the standard library from whose globals `thing` can be reached by the shortest way."""
    seen = {id(thing)}
    level: list[object] = [thing]
    while level and len(seen) < _MOST_REFERRERS:
        referrers = gc.get_referrers(*level)
        ignored = {id(level), id(referrers), id(seen)}
        level = []
        for referrer in referrers:
            if id(referrer) in seen or id(referrer) in ignored or isinstance(referrer, FrameType):
                continue
            seen.add(id(referrer))
            if isinstance(referrer, dict):
                name = referrer.get("__name__")
                if isinstance(name, str) and vars(sys.modules.get(name, object)) is referrer:
                    if not _is_standard(name) and name != __name__:
                        return f"module {name!r}"
                    continue
            level.append(referrer)
    return None
