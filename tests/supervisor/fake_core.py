"""A core that only writes down what it is told, and pool surroundings made with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from jobfleet.supervisor.hub import Hub
from jobfleet.supervisor.log import Level, Log
from jobfleet.supervisor.reaper import Reaper
from jobfleet.supervisor.spawn import Spawned, spawn_zygote
from jobfleet.supervisor.surroundings import Surroundings
from jobfleet.supervisor.writer import Account

LOOK_S = 0.05
"""How long `Stage.until` leaves a condition unread that no event announces, such as the state of a process."""


class FakeCore:
    """Implements `CoreLike`. Descriptors are real, so that leaks show."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.refusals: list[OSError] = []
        self.declared: list[dict[str, Any]] = []
        self.counts: dict[str, Any] = {"types": [], "held_polls": 0}
        self._links: dict[int, socket.socket] = {}
        self._last = 0

    def start(self) -> None:
        """Nothing to start."""

    def declare_pool(self, spec: bytes) -> int:
        """Write it down."""
        self.declared.append(json.loads(spec))
        return 40 + len(self.declared)

    def retire_pool(self, pool_id: int) -> None:
        """Write it down."""
        self.calls.append(("retire_pool", pool_id))

    def switch_pools(self, begin: list[int], end: list[int]) -> None:
        """Write it down."""
        self.calls.append(("switch_pools", begin, end))

    def pause_pool(self, pool_id: int, reason: str | None) -> None:
        """Write it down."""
        self.calls.append(("pause_pool", pool_id, reason))

    def give_up_workers(self, worker_ids: list[int], reason: str) -> None:
        """Write it down."""
        self.calls.append(("give_up_workers", worker_ids, reason))

    def add_worker(self, pool_id: int) -> tuple[int, int, int]:
        """A worker with real descriptors, or the next refusal."""
        if self.refusals:
            raise self.refusals.pop(0)
        self._last += 1
        ours, theirs = socket.socketpair()
        self._links[self._last] = ours
        self.calls.append(("add_worker", pool_id))
        return self._last, theirs.detach(), os.memfd_create("recorder")

    def drain_worker(self, worker_id: int) -> None:
        """Write it down, and let the worker see the end of its link."""
        self.calls.append(("drain_worker", worker_id))
        self._links[worker_id].shutdown(socket.SHUT_WR)

    def worker_dead(self, worker_id: int, reason: str) -> None:
        """Write it down."""
        self.calls.append(("worker_dead", worker_id, reason))
        self._links.pop(worker_id).close()

    def shun_worker(self, worker_id: int, shunned: bool) -> None:
        """Write it down."""
        self.calls.append(("shun_worker", worker_id, shunned))

    def condemn_worker(self, worker_id: int, blameless: bool) -> None:
        """Write it down."""
        self.calls.append(("condemn_worker", worker_id, blameless))

    @property
    def beats(self) -> int:
        """It never looks."""
        return 0

    def set_authorization(self, value: str | None) -> None:
        """Write it down, without the secret."""
        self.calls.append(("set_authorization", value is not None))

    def set_grace(self, grace_ms: int) -> None:
        """Write it down."""
        self.calls.append(("set_grace", grace_ms))

    def stop_activation(self) -> None:
        """Write it down."""
        self.calls.append(("stop_activation",))

    def give_up(self, reason: str) -> None:
        """Write it down."""
        self.calls.append(("give_up", reason))

    @property
    def event_fd(self) -> int:
        """Never readable."""
        return -1

    def take_events(self) -> list[bytes]:
        """No events."""
        return []

    def status(self) -> bytes:
        """What a test has put into `counts`."""
        return json.dumps({"engine": {"kind": "camunda", "url": "http://engine"}, **self.counts}).encode()

    def stop(self) -> None:
        """Close the links."""
        for link in self._links.values():
            link.close()
        self._links.clear()

    def named(self, name: str) -> list[tuple[Any, ...]]:
        """The calls of one method."""
        return [call for call in self.calls if call[0] == name]


class ListLog(Log):
    """Keeps lines instead of writing them."""

    def __init__(self) -> None:
        super().__init__("json")
        self.lines: list[str] = []

    def line(self, level: Level, source: str, message: str, fields: dict[str, Any], account: Account) -> None:
        """Keep it."""
        self.lines.append(f"{level.name.lower()} {source} {message}")


class Stage:
    """A pool's surroundings, on the running loop."""

    def __init__(self, module: str, environ: Mapping[str, str]) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self.core = FakeCore()
        self.log = ListLog()
        self._changed = asyncio.Event()
        self._environ = dict(environ) | {"PYTHONPATH": os.pathsep.join(sys.path)}
        self._module = module
        self.reaper = Reaper(loop, self.log.error)
        self.reaper.start()
        self.renewed: list[str] = []
        self.around = Surroundings(
            core=self.core,
            reaper=self.reaper,
            loop=loop,
            log=self.log,
            hub=_Poke(self._changed),
            spawn=self.spawn,
            types={},
            renew=lambda pool, why: self.renewed.append(pool),
            changed=self._changed.set,
        )

    def spawn(self) -> Spawned:
        """A zygote that follows the script of the test."""
        return spawn_zygote(self._environ, module=self._module)

    async def until(self, holds: Callable[[], Any], deadline_s: float = 30.0) -> None:
        """Wait until `holds`; asked at every event, and now and then for what the system announces to nobody."""
        deadline = self._loop.time() + deadline_s
        while not holds():
            if self._loop.time() > deadline:
                raise AssertionError(f"never came true; calls {self.core.calls}, log {self.log.lines}")
            self._changed.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), LOOK_S)

    def close(self) -> None:
        """End everything."""
        self.reaper.stop()
        self.core.stop()


class _Poke(Hub):
    """Wakes the test at every event."""

    def __init__(self, changed: asyncio.Event) -> None:
        super().__init__()
        self._event = changed

    def publish(self, event: str, **fields: Any) -> None:
        """Wake."""
        super().publish(event, **fields)
        self._event.set()
