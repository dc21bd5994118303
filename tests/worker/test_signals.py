"""Signals to workers and zygotes: only the link drains them."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from .fleet import Worker, Zygote, wait_for

StartWorker = Callable[..., Worker]

READ = ("0", "63")
"""The number of the system call `read`: x86-64, ARM."""

HANDLERS = """
    import ctypes
    import os
    import signal
    import subprocess
    import sys
    import time

    from jobfleet import handler

    read, write = os.pipe()

    @handler("sync")
    def sync(job):
        job.log.info("running")
        for _ in range(20):
            time.sleep(0.01)
        return {"done": True}

    @handler("reads")
    def reads(job):
        job.log.info("running")
        # Through C, which unlike Python does not repeat a call that a signal interrupted.
        descriptor = os.open(job.variables["fifo"], os.O_RDWR)
        buffer = ctypes.create_string_buffer(4)
        job.log.info("reads")
        return {"read": ctypes.CDLL(None).read(descriptor, buffer, 4)}

    @handler("child")
    def child(job):
        source = (
            "import signal as s; "
            "print(s.getsignal(s.SIGTERM) == s.SIG_DFL, s.getsignal(s.SIGINT) is s.default_int_handler)"
        )
        return {"seen": subprocess.run([sys.executable, "-c", source], capture_output=True, text=True).stdout}
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_to_every_process_lets_a_running_handler_finish(
    zygote: Zygote, worker: StartWorker, number: signal.Signals
) -> None:
    started = worker(HANDLERS)
    job = started.core.give(0)
    started.core.printed("running")
    for pid in (started.pid, zygote.process.pid):
        os.killpg(pid, number)
    assert started.core.outcome(job).variables == {"done": True}
    assert started.core.outcome(started.core.give(0)).kind == "complete"
    assert zygote.fork(2).wait_ready().pid > 0


def test_signal_does_not_end_a_blocked_system_call(worker: StartWorker, tmp_path: os.PathLike[str]) -> None:
    started = worker(HANDLERS)
    fifo = os.path.join(tmp_path, "fifo")
    os.mkfifo(fifo)
    job = started.core.give(1, variables={"fifo": fifo})
    started.core.printed("reads")
    running = Path(f"/proc/{started.pid}/syscall")
    wait_for(lambda: running.read_text().split()[0] in READ, "the handler to block")
    for _ in range(10):
        os.kill(started.pid, signal.SIGTERM)
    with open(fifo, "w") as writer:
        os.kill(started.pid, signal.SIGTERM)
        writer.write("text")
    assert started.core.outcome(job).variables == {"read": 4}


def test_signal_to_an_idle_worker_changes_nothing(worker: StartWorker) -> None:
    started = worker(HANDLERS)
    os.kill(started.pid, signal.SIGTERM)
    os.kill(started.pid, signal.SIGINT)
    assert started.core.outcome(started.core.give(0)).kind == "complete"


def test_programs_that_handlers_start_have_usual_signals(worker: StartWorker) -> None:
    started = worker(HANDLERS)
    assert started.core.outcome(started.core.give(2)).variables["seen"] == "True True\n"


def test_workers_and_zygotes_lead_process_groups_of_their_own(zygote: Zygote, worker: StartWorker) -> None:
    started = worker(HANDLERS)
    assert os.getpgid(started.pid) == started.pid
    assert os.getpgid(zygote.process.pid) == zygote.process.pid


def test_dump_signal_writes_the_stacks_without_ending_the_worker(worker: StartWorker, tmp_path: Path) -> None:
    started = worker(HANDLERS)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    job = started.core.give(1, variables={"fifo": str(fifo)})
    started.core.printed("reads")
    os.kill(started.pid, signal.SIGQUIT)
    wait_for(lambda: " in reads" in started.output(), "the stacks")
    assert "handlers.py" in started.output()
    fifo.write_text("text")
    assert started.core.outcome(job).kind == "complete"
