"""What the log says of jobs that fail."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from jobfleet.worker import failure_log
from jobfleet.worker.failure_log import MOST_PER_SECOND, FailureLog

from .running import RunningFleet

BAD = """
    import msgspec
    from jobfleet import Job, JobError, handler

    class Order(msgspec.Struct):
        amount: int

    @handler("raises")
    def raises(job):
        raise ValueError("no stock")

    @handler("misfit")
    def misfit(job: Job[Order]): ...

    @handler("throws")
    def throws(job):
        raise JobError("TOO_HIGH")
"""


class Link:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.records: list[tuple[int, int, str]] = []

    def log(self, level: int, lane: int, number: int, record: bytes) -> None:
        self.records.append((level, number, json.loads(record)["message"]))


def test_failures_are_told_and_errors_of_the_process_are_not(run_fleet: Callable[..., RunningFleet]) -> None:
    fleet = run_fleet(BAD, "--processes", "1").wait_running()
    fleet.push("throws")
    fleet.push("raises")
    raised = fleet.wait_for_line("ValueError")
    assert raised["message"].startswith("fails, 2 retries left, next try in 1.")
    assert "handlers.py:10 in raises" in raised["message"]
    assert (raised["level"], raised["type"]) == ("warning", "raises")
    assert raised["key"]
    fleet.push("misfit")
    assert "missing required field `amount`" in fleet.wait_for_line("fails, 0 retries left: ")["message"]
    assert not [record for record in fleet.records if record.get("type") == "throws"]


def test_many_failures_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(failure_log.time, "monotonic", lambda: now)
    link = Link()
    log = FailureLog(link, 0)  # type: ignore[arg-type]
    for number in range(1000):
        log.failed(number, "boom", 1, 1500)
    assert [number for _, number, _ in link.records] == list(range(MOST_PER_SECOND))
    assert link.records[0] == (30, 0, "fails, 1 retry left, next try in 1.5 s: boom")
    now = 101.0
    log.failed(1000, "boom", 0, 1500)
    told = 1000 - MOST_PER_SECOND
    assert link.records[-1][2] == f"fails, 0 retries left ({told} more failures were not told): boom"
