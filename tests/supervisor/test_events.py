"""How the core's events are heard."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import msgspec
from jobfleet.supervisor import events as events_module
from jobfleet.supervisor.events import CoreEvents

from .fake_core import FakeCore, Stage


class TalkingCore(FakeCore):
    """A core that has something to tell."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[bytes] = []

    def take_events(self) -> list[bytes]:
        taken, self.waiting = self.waiting, []
        return taken

    def tell(self, event: str, **fields: Any) -> None:
        self.waiting.append(json.dumps({"event": event, **fields}, separators=(",", ":")).encode())


def ear() -> tuple[TalkingCore, Stage, CoreEvents, list[str]]:
    stage = Stage("unused", {})
    stage.core = core = TalkingCore()
    drained: list[str] = []
    around = msgspec.structs.replace(stage.around, core=core)
    return core, stage, CoreEvents(around, [], partial(drained.append, "drained"), drained.append), drained


def test_flood_of_records_does_not_delay_what_else_the_core_tells() -> None:
    async def run() -> None:
        core, stage, events, drained = ear()
        for number in range(5_000):
            core.tell("log", worker=1, level=20, record={"message": f"record {number}"})
        core.tell("drained")
        events.take()
        assert drained == ["drained"]
        assert stage.log.lines == []
        while len(stage.log.lines) < 5_000:
            before = len(stage.log.lines)
            await asyncio.sleep(0)
            assert len(stage.log.lines) - before <= 200
        assert stage.log.lines[-1] == "info worker record 4999"
        stage.close()

    asyncio.run(run())


def test_records_beyond_what_may_wait_are_counted() -> None:
    async def run() -> None:
        core, stage, events, _ = ear()
        for number in range(events_module._RECORDS_WAITING + 7):
            core.tell("log", worker=1, level=20, record={"message": str(number)})
        events.take()
        while not any("dropped" in line for line in stage.log.lines[-1:]):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
        assert stage.log.lines[-1].startswith("warning fleet 7 log records")
        stage.close()

    asyncio.run(run())


def test_event_that_is_not_understood_does_not_cost_the_others() -> None:
    async def run() -> None:
        core, stage, events, drained = ear()
        core.tell("something_new", worker=1)
        core.waiting.append(b"rubbish")
        core.tell("drained")
        events.take()
        assert drained == ["drained"]
        assert len([line for line in stage.log.lines if "not understood" in line]) == 2
        stage.close()

    asyncio.run(run())


def test_event_of_a_worker_that_has_died_is_ignored() -> None:
    async def run() -> None:
        core, stage, events, _ = ear()
        core.tell("worker_ready", worker=99)
        core.tell("worker_drained", worker=99)
        events.take()
        assert stage.log.lines == []
        stage.close()

    asyncio.run(run())


def test_change_of_the_engine_is_told_and_remembered() -> None:
    async def run() -> None:
        core, stage, events, _ = ear()
        core.tell("engine", state="down", message="connection refused")
        events.take()
        assert events.engine_state == "down"
        assert stage.log.lines == ["warning fleet connection refused"]
        stage.close()

    asyncio.run(run())


def test_defects_of_the_core_are_told_and_its_end_ends_the_fleet() -> None:
    async def run() -> None:
        core, stage, events, ended = ear()
        core.tell("task_failed", task="poller of mail", message="it panicked; another one takes its place")
        core.tell("core_failed", message="it panicked at x.rs:1: no")
        events.take()
        assert "the poller of mail has failed: it panicked; another one" in stage.log.lines[0]
        assert ended == ["it panicked at x.rs:1: no"]
        stage.close()

    asyncio.run(run())
