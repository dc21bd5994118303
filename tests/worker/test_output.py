"""`job.log` and `print`."""

from collections.abc import Callable

import pytest

from .core_end import CoreEnd
from .fleet import Worker

StartWorker = Callable[..., Worker]

HANDLERS = """
    import asyncio
    import logging
    import sys
    import threading

    from jobfleet import handler

    logging.basicConfig(level=logging.INFO, format="%(message)s")

    class Odd:
        def __str__(self):
            return "odd"

    @handler("logs")
    def logs(job):
        job.log.info("charged", order=17, odd=Odd(), pairs={(1, 2): 3})
        job.log.warning("late")
        try:
            1 / 0
        except ZeroDivisionError:
            job.log.exception("divided")

    @handler("prints")
    def prints(job):
        print("one\\ntwo")
        print("to stderr", file=sys.stderr)
        logging.info("logged")
        print("half", end="")
        print(" and half")
        sys.stdout.flush()

    @handler("floods")
    def floods(job):
        job.log.info("x" * 100_000)
        job.log.info("\\x01" * 100_000, y=1)
        job.log.info("many", fields=["y" * 1000] * 1000)
        print("z" * 100_000)

    @handler("thread")
    def thread(job):
        threading.Thread(target=print, args=("from a thread",)).start()

    @handler("closes")
    def closes(job):
        sys.stdout.close()
        print("still there")
        sys.stdout.buffer.write(b"raw\\n")
        sys.stdout.buffer.flush()

    @handler("begins")
    def begins(job):
        print("never ended", end="")

    @handler("async")
    async def on_loop(job):
        print("before", job.variables["x"])
        await asyncio.sleep(0)
        await asyncio.gather(child(job.variables["x"]), asyncio.to_thread(print, "thread", job.variables["x"]))

    async def child(x):
        print("child", x)
"""


@pytest.fixture
def started(worker: StartWorker) -> Worker:
    return worker(HANDLERS)


@pytest.fixture
def core(started: Worker) -> CoreEnd:
    return started.core


def test_records_carry_level_job_and_fields(core: CoreEnd) -> None:
    job = core.give(0)
    charged = core.printed("charged")
    assert (charged.level, (charged.lane, charged.number)) == (20, job)
    assert charged.record == {"message": "charged", "order": 17, "odd": "odd", "pairs": "{(1, 2): 3}"}
    assert core.printed("late").level == 30
    assert "ZeroDivisionError" in core.printed("divided").record["exception"]


def test_printed_lines_belong_to_the_job_that_printed_them(core: CoreEnd) -> None:
    job = core.give(1)
    for text in ("one", "two", "half and half"):
        line = core.printed(text)
        assert ((line.lane, line.number), line.record["stream"]) == (job, "stdout")
    assert core.printed("to stderr").record["stream"] == "stderr"
    assert (core.printed("logged").lane, core.printed("logged").number) == job


def test_lines_are_cut(core: CoreEnd) -> None:
    core.outcome(core.give(2))
    core.wait(lambda: len(core.logs) == 4)
    assert all(len(str(log.record)) <= 100_000 and log.record["cut"] for log in core.logs)
    assert len(core.logs[0].record["message"]) > 16_000
    assert len(core.logs[1].record["message"]) > 2_000


def test_output_of_foreign_threads_goes_to_the_pipe(started: Worker) -> None:
    started.core.outcome(started.core.give(3))
    started.core.drain()
    started.exit_status()
    assert "from a thread\n" in started.output()


def test_handler_that_closes_stdout_is_survived(started: Worker) -> None:
    job = started.core.give(4)
    assert started.core.printed("still there").number == job[1]
    assert started.core.outcome(job).kind == "complete"
    started.core.drain()
    started.exit_status()
    assert "raw\n" in started.output()


def test_line_that_was_never_ended_comes_at_the_end(started: Worker) -> None:
    started.core.outcome(started.core.give(5))
    started.core.drain()
    assert started.core.printed("never ended").record["stream"] == "stdout"


def test_output_of_tasks_and_their_threads_belongs_to_their_job(core: CoreEnd) -> None:
    jobs = {x: core.give(6, lane=1, variables={"x": x}) for x in range(5)}
    for x, job in jobs.items():
        for text in (f"before {x}", f"child {x}", f"thread {x}"):
            line = core.printed(text)
            assert (line.lane, line.number) == job
