"""The steps of a drain, with a core that only writes down what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from jobfleet.supervisor.drain import Drain
from jobfleet.supervisor.exits import ExitCode
from jobfleet.supervisor.lifecycle import Reason

from .fake_core import FakeCore, ListLog


class Pools:
    """Processes that are gone when a test says so."""

    def __init__(self, core: FakeCore) -> None:
        self._core = core
        self.is_gone = False

    def drain_pools(self) -> None:
        self._core.calls.append(("drain_pools",))

    def stop_pools(self, reason: Reason) -> None:
        self._core.calls.append(("stop_pools", reason))


class Scene:
    """A drain and what became of it."""

    def __init__(self) -> None:
        self.core = FakeCore()
        self.log = ListLog()
        self.pools = Pools(self.core)
        self.finished: asyncio.Future[tuple[Reason, ExitCode]] = asyncio.get_running_loop().create_future()
        self.drain = Drain(
            self.core,
            self.pools,
            self.log,
            asyncio.get_running_loop(),
            lambda reason, code: self.finished.set_result((reason, code)),
        )

    async def end(self) -> tuple[Reason, ExitCode]:
        return await asyncio.wait_for(asyncio.shield(self.finished), 30)


def play(scene: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        await scene(Scene())

    asyncio.run(run())


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until something is so; nothing announces it."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0)


def test_activation_stops_before_workers_are_told_to_leave() -> None:
    async def run(scene: Scene) -> None:
        scene.drain.begin("SIGTERM", 60, 3)
        assert scene.core.calls == [("stop_activation",), ("drain_pools",)]

    play(run)


def test_drain_waits_for_the_core_and_for_the_processes() -> None:
    async def run(scene: Scene) -> None:
        scene.drain.begin("SIGTERM", 60, 3)
        scene.drain.core_drained()
        assert not scene.finished.done()
        scene.pools.is_gone = True
        scene.drain.look()
        assert await scene.end() == (Reason.DRAINED, ExitCode.OK)

    play(run)


def test_core_that_drained_before_its_workers_left_is_not_forgotten() -> None:
    async def run(scene: Scene) -> None:
        scene.drain.begin("SIGTERM", 60, 3)
        scene.pools.is_gone = True
        scene.drain.look()
        assert not scene.finished.done()
        scene.drain.core_drained()
        assert await scene.end() == (Reason.DRAINED, ExitCode.OK)

    play(run)


def test_held_polls_are_told_with_the_longest_wait() -> None:
    async def run(scene: Scene) -> None:
        scene.core.counts["held_polls"] = 3
        scene.drain.begin("SIGTERM", 60, 4)
        await until(lambda: "info fleet waiting for 3 held polls, at most 4 s" in scene.log.lines)

    play(run)


def test_grace_wins_over_the_hold_of_a_poll() -> None:
    async def run(scene: Scene) -> None:
        scene.core.counts["held_polls"] = 1
        scene.drain.begin("SIGTERM", 2, 10)
        await until(lambda: "info fleet waiting for 1 held poll, at most 2 s" in scene.log.lines)

    play(run)


def test_end_of_grace_hands_back_before_it_kills() -> None:
    async def run(scene: Scene) -> None:
        scene.drain.begin("SIGTERM", 0.01, 3)
        await until(lambda: ("stop_pools", Reason.GRACE_OVER) in scene.core.calls)
        given_up = scene.core.calls.index(("give_up", "the fleet stopped and its grace period of 0.01 s is over"))
        assert given_up < scene.core.calls.index(("stop_pools", Reason.GRACE_OVER))
        scene.pools.is_gone = True
        scene.drain.core_drained()
        assert await scene.end() == (Reason.GRACE_OVER, ExitCode.OK)

    play(run)


def test_second_signal_ends_without_waiting_for_the_grace_period() -> None:
    async def run(scene: Scene) -> None:
        scene.core.counts = {"types": [{"type": "t", "running": 2}], "held_polls": 1}
        scene.drain.begin("SIGTERM", 600, 3)
        scene.drain.force("SIGINT")
        assert await scene.end() == (Reason.SECOND_SIGNAL, ExitCode.FORCED)
        (told,) = [line for line in scene.log.lines if "second SIGINT" in line]
        assert "2 running jobs" in told
        assert "1 held poll" in told

    play(run)


def test_third_signal_does_not_even_wait_for_hand_backs() -> None:
    async def run(scene: Scene) -> None:
        scene.drain.begin("SIGTERM", 600, 3)
        scene.drain.force("SIGTERM")
        assert not scene.finished.done()
        scene.drain.force("SIGTERM")
        assert scene.finished.done()

    play(run)


def test_signal_that_arrives_twice_at_once_is_one_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("jobfleet.supervisor.drain.time.monotonic", lambda: now_s)

    async def run(scene: Scene) -> None:
        nonlocal now_s
        scene.drain.begin("SIGTERM", 600, 3)
        now_s += 0.1
        scene.drain.signal_again("SIGTERM")
        assert scene.core.named("give_up") == []
        now_s += 0.2
        scene.drain.signal_again("SIGTERM")
        assert len(scene.core.named("give_up")) == 1

    play(run)
