"""Handlers that run for too long: told to stop, and ended with their process where they do not heed it."""

from __future__ import annotations

import pytest

from .fleet import Fleet

OPTIONS = ("--processes", "3")

HANDLERS = """
    import asyncio, ctypes, os, time
    from jobfleet import Job, TimeLimitExceeded, handler

    @handler("sleeps", time_limit="300ms")
    def sleeps(job: Job) -> dict:
        time.sleep(60)

    @handler("computes", time_limit="300ms")
    def computes(job: Job) -> dict:
        while True:
            pass

    @handler("computes-in-a-thread", time_limit="300ms", slots=2)
    def computes_in_a_thread(job: Job) -> dict:
        while True:
            time.sleep(0.01)

    @handler("awaits", time_limit="300ms")
    async def awaits(job: Job) -> dict:
        await asyncio.sleep(60)

    @handler("cleans-up", time_limit="300ms")
    def cleans_up(job: Job) -> dict:
        try:
            time.sleep(60)
        except TimeLimitExceeded as limit:
            return {"after": limit.limit_s}

    @handler("cleans-up-async", time_limit="300ms")
    async def cleans_up_async(job: Job) -> dict:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return {"after": 0.3}

    # A host that stands still for a moment stops no handler, and what is left of a timer hits a later job.
    @handler("quick", time_limit="2s", slots=2)
    def quick(job: Job) -> dict:
        return {}

    @handler("holds-on", time_limit="200ms", hard_time_limit="500ms", slots=2)
    def holds_on(job: Job) -> dict:
        # A foreign function that lets nobody else run.
        ctypes.PyDLL(None).sleep(600)

    @handler("bystander", slots=2)
    def bystander(job: Job) -> dict:
        while not os.path.exists("open"):
            time.sleep(0.01)
        return {"pid": os.getpid()}
"""


@pytest.mark.parametrize("kind", ["sleeps", "computes", "computes-in-a-thread", "awaits"])
def test_handler_over_its_limit_is_stopped_and_its_job_fails_with_the_limit(shared: Fleet, kind: str) -> None:
    before = {process["pid"] for process in shared.wait_ready(3)}
    (key,) = shared.engine.push(kind, retries=1)
    job = shared.engine.wait_job(key, "incident")
    first, *frames = job["message"].splitlines()
    assert first == "TimeLimitExceeded: the handler ran longer than its time limit of 0.3 s"
    assert any(frame.startswith("  handlers.py:") for frame in frames)
    assert {process["pid"] for process in shared.wait_ready(3)} == before


@pytest.mark.parametrize("kind", ["cleans-up", "cleans-up-async"])
def test_handler_may_clean_up_when_its_time_is_over(shared: Fleet, kind: str) -> None:
    (key,) = shared.engine.push(kind)
    assert shared.engine.wait_job(key, "completed")["variables"] == {"after": 0.3}


def test_handlers_within_their_limit_notice_nothing(shared: Fleet) -> None:
    for _ in range(10):
        for key in shared.engine.push("quick", 200):
            assert shared.engine.wait_job(key, "completed")["activations"] == 1


def test_process_of_a_job_over_its_hard_limit_writes_its_stacks_and_dies_and_others_are_innocent(shared: Fleet) -> None:
    bystanders = shared.engine.push("bystander", 2)
    for key in bystanders:
        shared.engine.wait_job(key, "activated")
    since = shared.log_length
    keys = shared.engine.push("holds-on", 3, retries=1)
    for key in keys:
        message = shared.engine.wait_job(key, "incident")["message"]
        assert "over its hard time limit of 0.5 s; worker process" in message
        assert "killed by signal 9" in message
    shared.wait_for_line("is killed after its stacks: job", since)
    assert "in holds_on" in shared.wait_for_line("in holds_on", since)["message"]
    (shared.folder / "open").touch()
    for key in bystanders:
        job = shared.engine.wait_job(key, "completed")
        assert job["retries"] == 3
    shared.wait_ready(3)
    status = shared.status()
    assert status["pools"][0]["state"] == "ready"
    assert status["poison"] == {"suspects": 0, "convicted": 0}
