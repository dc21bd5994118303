"""Reloads the fleet when a file changes: for development, switched on by `watch`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from jobfleet.supervisor.pools import Pools
from jobfleet.worker.sources import fingerprint

# Looked at this often; a change is acted upon when the next look finds no further one.
_TICK_S: Final = 0.25
_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "venv"})

State = tuple[int, int]


class FileWatch:
    """Looks at the sources of the user's modules, at what `handlers` names, and at the files of settings."""

    def __init__(
        self,
        pools: Pools,
        settings_files: Sequence[Path],
        loop: asyncio.AbstractEventLoop,
        changed: Callable[[str], None],
    ) -> None:
        self._pools = pools
        self._settings_files = settings_files
        self._loop = loop
        self._changed = changed
        self._seen: dict[str, State] = {}
        self._told: dict[str, State] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on."""
        self._seen = self._told = self._look()
        self._timer = self._loop.call_later(_TICK_S, self._tick)
        loaded = [pool.handlers for pool in self._pools.current.values() if pool.handlers is not None]
        if any(fingerprint(handlers.files) != handlers.fingerprint for handlers in loaded):
            # Between the import and the first look.
            self._loop.call_soon(self._changed, "a source file has changed since it was loaded")

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._timer = self._loop.call_later(_TICK_S, self._tick)
        found, before = self._look(), self._seen
        self._seen = found
        if found != before:
            # An editor or a checkout may still be writing.
            return
        known = self._told
        # A file that nobody had looked at before was imported by the last reload.
        changed = sorted(file for file, state in found.items() if known.get(file, state) != state)
        fresh = sorted(file for file in found if file not in known and self._is_target(file))
        gone = sorted(file for file in known if file not in found and not os.path.exists(file))
        self._told = found
        if changed or fresh or gone:
            first, *more = [*changed, *fresh, *gone]
            self._changed(f"{first} has changed" + (f", and {len(more)} more" if more else ""))

    def _look(self) -> dict[str, State]:
        found = {}
        for file in {*self._files(), *self._targets()}:
            try:
                told = os.stat(file)
            except OSError:
                continue
            found[file] = (told.st_mtime_ns, told.st_size)
        return found

    def _files(self) -> Iterator[str]:
        yield from (os.path.abspath(file) for file in self._settings_files)
        for pool in self._pools.current.values():
            if pool.handlers is not None:
                yield from pool.handlers.files

    def _targets(self) -> Iterator[str]:
        """The files that `handlers` names, folders searched."""
        for pool in self._pools.current.values():
            for target in pool.plan.handlers:
                if os.path.isdir(target):
                    yield from _python_files(target)
                elif target.endswith(".py"):
                    yield os.path.abspath(target)

    def _is_target(self, file: str) -> bool:
        return file in set(self._targets())


def _python_files(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED and not name.startswith(".")]
        for name in files:
            if name.endswith(".py") and not name.startswith("."):
                yield os.path.abspath(os.path.join(place, name))
