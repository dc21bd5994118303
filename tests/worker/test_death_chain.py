"""Who dies with whom."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from .fleet import Worker, Zygote, wait_for
from .raw_core import GUARD_S

HANDLERS = """
import ctypes
from jobfleet import handler

@handler("noop")
def noop(job):
    pass

@handler("holds-the-gil")
def holds_the_gil(job):
    job.log.info("holds")
    ctypes.PyDLL(None).sleep(600)
"""

SUPERVISOR = """
import sys
from pathlib import Path
from tests.worker.fleet import Zygote, become_subreaper

become_subreaper()
zygote = Zygote(Path(sys.argv[1]))
assert zygote.load("handlers.py")["op"] == "loaded"
worker = zygote.fork().wait_ready()
if sys.argv[2] == "gil":
    worker.core.give(1)
    worker.core.printed("holds")
print(zygote.process.pid, worker.pid, flush=True)
sys.stdin.read()
"""


@dataclass
class Fleet:
    """A supervisor process that can be killed."""

    process: subprocess.Popen[str]
    zygote: psutil.Process
    worker: psutil.Process


@pytest.fixture
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    (tmp_path / "handlers.py").write_text(HANDLERS)
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path), getattr(request, "param", "idle")],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    zygote, worker = (psutil.Process(int(pid)) for pid in process.stdout.readline().split())
    yield Fleet(process, zygote, worker)
    for victim in (process, worker, zygote):
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            continue
    process.communicate(timeout=GUARD_S)


def gone(process: psutil.Process) -> bool:
    """Whether the process has ended; as a zombie of a careless init it has."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def kill_supervisor(fleet: Fleet) -> None:
    fleet.process.kill()
    wait_for(lambda: gone(fleet.worker), "the worker to die with its supervisor")
    wait_for(lambda: gone(fleet.zygote), "the zygote to die with its supervisor")


def test_idle_worker_dies_with_its_supervisor(fleet: Fleet) -> None:
    kill_supervisor(fleet)


def test_stopped_worker_dies_with_its_supervisor(fleet: Fleet) -> None:
    fleet.worker.send_signal(signal.SIGSTOP)
    fleet.zygote.send_signal(signal.SIGSTOP)
    wait_for(lambda: fleet.worker.status() == psutil.STATUS_STOPPED, "the worker to stop")
    kill_supervisor(fleet)


@pytest.mark.parametrize("fleet", ["gil"], indirect=True)
def test_worker_whose_handler_holds_the_gil_dies_with_its_supervisor(fleet: Fleet) -> None:
    kill_supervisor(fleet)


def test_worker_is_a_child_of_the_supervisor_and_outlives_its_zygote(zygote: Zygote, tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text(HANDLERS)
    zygote.load("handlers.py")
    worker: Worker = zygote.fork().wait_ready()
    assert psutil.Process(worker.pid).ppid() == os.getpid()
    zygote.process.kill()
    zygote.process.wait(GUARD_S)
    assert worker.core.outcome(worker.core.give()).kind == "complete"


def test_zygote_leaves_no_zombies(zygote: Zygote, tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text(HANDLERS)
    zygote.load("handlers.py")
    for number in range(3):
        zygote.fork(number).wait_ready()
    assert psutil.Process(zygote.process.pid).children() == []


@pytest.mark.parametrize("how", ["quit", "eof"])
def test_zygote_exits_0_when_told_or_when_its_supervisor_is_gone(zygote: Zygote, how: str) -> None:
    if how == "quit":
        zygote.send({"op": "quit"})
    else:
        zygote.control.close()
    assert zygote.process.wait(GUARD_S) == 0
