"""Zygotes that are forked from a seed."""

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from .fleet import Zygote, become_subreaper
from .raw_core import GUARD_S

HANDLERS = """
from jobfleet import handler

@handler("noop")
def noop(job):
    pass
"""


class ForkedZygote(Zygote):
    """Forked from `seed`; it tells its process id."""

    def __init__(self, seed: Zygote, folder: Path) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(GUARD_S)
        with open(folder / "output", "wb") as output, theirs:
            seed.send({"op": "fork_zygote"}, [theirs.fileno(), output.fileno()])
        told = json.loads(self.control.recv(1 << 16))
        assert told["op"] == "zygote_forked"
        self.pid: int = told["pid"]
        self.lanes, self.workers = [], []

    def close(self) -> None:
        """End its workers, and see it leave."""
        self.control.close()
        for worker in self.workers:
            worker.close()
        assert os.waitpid(self.pid, 0) == (self.pid, 0)


@pytest.fixture
def forked(zygote: Zygote, tmp_path: Path) -> Iterator[ForkedZygote]:
    """A zygote forked from the fixture's, which has loaded nothing."""
    (tmp_path / "handlers.py").write_text(HANDLERS)
    forked = ForkedZygote(zygote, tmp_path)
    yield forked
    forked.close()


def test_forked_zygote_is_the_supervisors_own_and_outlives_its_seed(zygote: Zygote, forked: ForkedZygote) -> None:
    zygote.process.kill()
    zygote.process.wait()
    assert forked.load("handlers.py")["op"] == "loaded"
    worker = forked.fork().wait_ready()
    worker.core.outcome(worker.core.give())
    assert psutil.Process(forked.pid).ppid() == os.getpid()
    assert os.getpgid(forked.pid) == forked.pid


def test_folder_that_appears_after_the_seed_has_looked_for_it_is_searched(tmp_path: Path) -> None:
    become_subreaper()
    later = tmp_path / "later"
    seed = Zygote(tmp_path, PYTHONPATH=os.pathsep.join([str(later), *sys.path]))
    ForkedZygote(seed, tmp_path).close()
    later.mkdir()
    (later / "appeared.py").write_text(HANDLERS)
    forked = ForkedZygote(seed, tmp_path)
    assert forked.load("appeared")["op"] == "loaded"
    forked.close()
    seed.close()


def test_forked_zygote_whose_handlers_cannot_be_shared_starts_afresh(forked: ForkedZygote, tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text(f"import socket\nheld = socket.socket()\n{HANDLERS}")
    reply = forked.load("handlers.py")
    assert (reply["op"], reply["preload"]) == ("loaded", False)
    worker = forked.fork().wait_ready()
    worker.core.outcome(worker.core.give())


def test_zygote_that_has_loaded_handlers_is_no_seed(forked: ForkedZygote) -> None:
    assert forked.load("handlers.py")["op"] == "loaded"
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(GUARD_S)
    with ours:
        with theirs:
            forked.send({"op": "fork_zygote"}, [theirs.fileno(), theirs.fileno()])
        assert ours.recv(1) == b""
    forked.fork().wait_ready()


def test_stop_signals_mean_nothing_to_a_seed(zygote: Zygote, forked: ForkedZygote, tmp_path: Path) -> None:
    for pid in (zygote.process.pid, forked.pid):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(pid, number)
    assert forked.load("handlers.py")["op"] == "loaded"
    ForkedZygote(zygote, tmp_path).close()
