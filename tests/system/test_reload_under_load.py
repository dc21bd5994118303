"""Reloads while jobs flow: the engine's account shows no trace of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .engine import Engine
from .fleet import Fleet

RELOADS = 4
HANDLERS = """
    import msgspec, time
    from jobfleet import Job, handler

    class Order(msgspec.Struct):
        {fields}

    @handler("order")
    def order(job: Job[Order]) -> dict:
        time.sleep(0.001)
        return {{"generation": {number}}}

    @handler("wide")
    async def wide(job: Job[Order]) -> None:
        pass
"""


def handlers(number: int) -> str:
    """Every second generation needs a variable that the one before does not fetch."""
    return HANDLERS.format(fields="id: int; extra: int" if number % 2 else "id: int", number=number)


@contextmanager
def load(engine: Engine) -> Iterator[None]:
    """Jobs without end, far from what the fleet can do."""
    enough = threading.Event()

    def push() -> None:
        while not enough.wait(0.01):
            engine.push("order", 4, id=1, extra=2)
            engine.push("wide", 4, id=1, extra=2)

    pusher = threading.Thread(target=push)
    pusher.start()
    try:
        yield
    finally:
        enough.set()
        pusher.join()


@pytest.mark.parametrize("dialect", ["8.6", "8.10"])
def test_reloads_under_load_fail_lose_and_repeat_nothing(tmp_path: Path, dialect: str) -> None:
    engine = Engine(dialect=dialect)
    fleet = Fleet(tmp_path, handlers(0), engine, "--processes", "2")
    try:
        fleet.wait_running()
        with load(engine):
            for number in range(1, RELOADS + 1):
                before = engine.account()["completed"]
                engine.wait_account(lambda account, before=before: account["completed"] > before + 50, "jobs flow")
                fleet.write(handlers(number))
                assert fleet.reload()["state"] == "done"
        account = engine.wait_settled()
        assert account["completed"] == account["created"], account
        assert (account["incidents"], account["failed"]) == (0, account["handed_back"]), account
        status = fleet.wait_status(lambda status: not status["generations"], "old generations have left")
        assert status["pools"][0]["generation"] == RELOADS + 1
        assert status["totals"]["restarts"] == 0
        assert fleet.stop() == 0
    finally:
        fleet.close()
        engine.check()
        engine.close()
