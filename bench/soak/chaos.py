"""Carries out what was drawn: kills, stops, reloads, and faults of the engine."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from typing import Any

import httpx

from bench.soak.engine import SoakEngine
from bench.soak.fleet import SoakFleet
from bench.soak.plan import Act

Json = dict[str, Any]


class Chaos:
    """One stretch of one fleet's life."""

    def __init__(self, fleet: SoakFleet, engine: SoakEngine) -> None:
        self._fleet = fleet
        self._engine = engine
        self._stopped: list[tuple[float, int]] = []
        self.done: Counter[str] = Counter()
        self.footprints: list[tuple[int, float]] = []

    def run(self, acts: list[Act], length_s: float) -> None:
        """Do it all, then let everything go on."""
        began = time.monotonic()
        for act in [*acts, Act(length_s, "end")]:
            self._wait(began + act.at_s)
            if self._fleet.process.poll() is not None:
                raise RuntimeError(f"the fleet has ended:\n{''.join(self._fleet.lines()[-20:])}")
            with contextlib.suppress(httpx.TransportError):
                getattr(self, f"_{act.kind}")(act)
                self.done[act.kind] += 1
        self._engine.set_faults([])
        for _, pid in self._stopped:
            _send(pid, signal.SIGCONT)

    def _wait(self, until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            self._wake_due()
            time.sleep(min(left, 0.05))
        self._wake_due()

    def _wake_due(self) -> None:
        now = time.monotonic()
        for due, pid in [entry for entry in self._stopped if entry[0] <= now]:
            _send(pid, signal.SIGCONT)
            self._stopped.remove((due, pid))

    def _kill(self, act: Act) -> None:
        """A worker, a busy one where there is one; and a look at the supervisor, once a second that way."""
        processes = self._processes()
        busy = [process for process in processes if process["busy"]] or processes
        if busy:
            _send(busy[int(act.share * len(busy)) % len(busy)]["pid"], signal.SIGKILL)
        self.footprints.append(self._fleet.footprint())
        self._engine.ration()

    def _stop(self, act: Act) -> None:
        processes = self._processes()
        if processes:
            pid = processes[int(act.share * len(processes)) % len(processes)]["pid"]
            _send(pid, signal.SIGSTOP)
            self._stopped.append((time.monotonic() + act.for_s, pid))

    def _reload(self, _act: Act) -> None:
        self._fleet.signal(signal.SIGHUP)

    def _zygote(self, act: Act) -> None:
        pids = [pool["zygote_pid"] for pool in self._fleet.status()["pools"] if pool["zygote_pid"]]
        if pids:
            _send(pids[int(act.share * len(pids)) % len(pids)], signal.SIGKILL)

    def _faults(self, act: Act) -> None:
        self._engine.set_faults(list(act.faults))

    def _end(self, _act: Act) -> None:
        self.footprints.append(self._fleet.footprint())

    def _processes(self) -> list[Json]:
        pools = self._fleet.status()["pools"]
        return [process for pool in pools for process in pool["processes"] if process["state"] == "ready"]


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
