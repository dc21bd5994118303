"""The zygote's protocol."""

import os
import resource
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from .fleet import Worker, Zygote
from .raw_core import GUARD_S

StartWorker = Callable[..., Worker]

NOOP = """
from jobfleet import handler

@handler("noop", lease="5s")
def noop(job):
    pass
"""


@pytest.fixture
def load(zygote: Zygote, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def load(source: str, **options: Any) -> dict[str, Any]:
        (tmp_path / "handlers.py").write_text(textwrap.dedent(source))
        return zygote.load("handlers.py", **options)

    return load


Load = Callable[..., dict[str, Any]]


def test_loaded_tells_everything_about_the_handlers(load: Load, tmp_path: Path) -> None:
    reply = load(NOOP)
    assert reply["op"] == "loaded"
    assert reply["handlers"] == [
        {
            "type": "noop",
            "name": "handlers:noop",
            "file": str(tmp_path / "handlers.py"),
            "line": 4,
            "strategy": "main",
            "lane": 0,
            "slots": 1,
            "lease_ms": 5000,
            "renew": True,
            "fetch": None,
            "tenants": None,
            "tenant_filter": None,
            "hold_ms": None,
            "max_jobs": None,
            "max_bytes": None,
            "time_limit_ms": None,
            "hard_time_limit_ms": None,
        }
    ]
    assert (reply["lanes"], reply["notes"], reply["preload"]) == ([["main", 1]], [], True)
    assert reply["modules"] > 50


def test_load_error_is_one_sentence_with_place_and_traceback(load: Load, zygote: Zygote, tmp_path: Path) -> None:
    reply = load("import absent_module")
    assert reply["op"] == "load_failed"
    assert reply["error"].startswith("handlers.py:1 imports 'absent_module', which is not installed")
    assert (reply["path"], reply["line"]) == (str(tmp_path / "handlers.py"), 1)
    assert "ModuleNotFoundError" in reply["detail"]
    assert zygote.process.poll() is None


def test_exit_at_import_does_not_end_the_zygote(load: Load, zygote: Zygote) -> None:
    assert "exits while it is imported" in load("raise SystemExit(3)")["error"]
    assert zygote.process.poll() is None


def test_second_load_is_refused(load: Load) -> None:
    load(NOOP)
    assert load(NOOP)["op"] == "load_failed"


def test_fork_before_load_is_refused(zygote: Zygote) -> None:
    reply = zygote.ask({"op": "fork", "worker": 3, "index": 0})
    assert reply == {"op": "fork_failed", "worker": 3, "error": "no handlers are loaded"}


@pytest.mark.parametrize("count", [0, 2, 4])
def test_fork_with_a_wrong_number_of_descriptors_is_refused(load: Load, zygote: Zygote, count: int) -> None:
    load(NOOP)
    before = psutil.Process(zygote.process.pid).num_fds()
    descriptors = [os.open(os.devnull, os.O_RDONLY) for _ in range(count)]
    reply = zygote.ask({"op": "fork", "worker": 3, "index": 0}, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    assert (reply["op"], reply["worker"]) == ("fork_failed", 3)
    assert psutil.Process(zygote.process.pid).num_fds() == before


def test_descriptors_that_were_lost_on_the_way_are_an_error(load: Load, zygote: Zygote) -> None:
    load(NOOP)
    process = psutil.Process(zygote.process.pid)
    open_files = process.num_fds()
    process.rlimit(resource.RLIMIT_NOFILE, (open_files + 1, open_files + 1))
    descriptors = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]
    reply = zygote.ask({"op": "fork", "worker": 4, "index": 0}, descriptors)
    assert (reply["op"], reply["worker"]) == ("fork_failed", 4)
    assert "lost on the way" in reply["error"]
    assert process.num_fds() == open_files


def test_fork_that_the_host_refuses_is_reported(load: Load, zygote: Zygote) -> None:
    load(NOOP)
    process = psutil.Process(zygote.process.pid)
    process.rlimit(resource.RLIMIT_NOFILE, (process.num_fds() + 3, process.num_fds() + 3))
    descriptors = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]
    reply = zygote.ask({"op": "fork", "worker": 4, "index": 0}, descriptors)
    assert (reply["op"], reply["worker"]) == ("fork_failed", 4)
    assert "cannot fork" in reply["error"]


@pytest.mark.parametrize("message", [b"nonsense", b'{"op":"dance"}', b'{"op":"fork"}', b"[]"])
def test_nonsense_is_survived(zygote: Zygote, message: bytes, load: Load) -> None:
    zygote.control.send(message)
    assert load(NOOP)["op"] == "loaded"


def descriptors_of(pid: int) -> set[str]:
    """What a process has open; files of memory with their inode."""
    folder = Path(f"/proc/{pid}/fd")
    return {f"{os.readlink(entry)} {entry.stat().st_ino}" for entry in folder.iterdir()}


def test_worker_inherits_its_own_descriptors_alone(load: Load, zygote: Zygote) -> None:
    load(NOOP)
    first = zygote.fork(1).wait_ready()
    second = zygote.fork(2).wait_ready()
    opened = [descriptors_of(pid) for pid in (zygote.process.pid, first.pid, second.pid)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not [
            shared for shared in opened[one] & opened[other] if shared.startswith(("socket:", "pipe:", "/memfd:"))
        ]
    assert os.readlink(f"/proc/{first.pid}/fd/1") == os.readlink(f"/proc/{first.pid}/fd/2")
    assert os.readlink(f"/proc/{first.pid}/fd/0") == os.devnull
    first.core.hang_up()
    assert first.exit_status() == 0


@pytest.mark.parametrize("module", ["random", "numpy.random"])
def test_workers_draw_different_random_numbers(load: Load, zygote: Zygote, module: str) -> None:
    pytest.importorskip(module)
    load(f"import {module}\n{module}.seed(1)\n{NOOP}    return {{'number': {module}.random()}}\n")
    workers = [zygote.fork(number).wait_ready() for number in range(2)]
    numbers = {worker.core.outcome(worker.core.give()).variables["number"] for worker in workers}
    assert len(numbers) == 2


UNFORKABLE = {
    "thread": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), name='poller').start()",
        "poller",
    ),
    "pool": (
        "import time\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor(1)\npool.submit(time.sleep, 0)",
        "thread",
    ),
    "socket": ("import socket\nkept = {'socket': socket.socketpair()}", "module 'handlers'"),
    "loop": ("import asyncio\nloop = asyncio.new_event_loop()", "event loop"),
}


@pytest.mark.parametrize("what", UNFORKABLE)
def test_module_that_cannot_be_forked_switches_preload_off_and_is_named(load: Load, zygote: Zygote, what: str) -> None:
    source, word = UNFORKABLE[what]
    pid = zygote.process.pid
    reply = load(f"import os\nimporter = os.getpid()\n{source}\n{NOOP}    return {{'importer': importer}}\n")
    assert (reply["op"], reply["preload"]) == ("loaded", False)
    assert word in reply["notes"][0]
    assert "handlers" in reply["notes"][0]
    assert "@on_start" in reply["notes"][0]
    worker = zygote.fork().wait_ready()
    assert worker.core.outcome(worker.core.give()).variables == {"importer": worker.pid}
    assert zygote.process.poll() is None
    assert psutil.Process(pid).num_threads() == 1
    worker.core.drain()
    assert worker.exit_status() == 0


def test_preload_off_imports_in_each_worker(load: Load, zygote: Zygote) -> None:
    source = f"import os\nimporter = os.getpid()\n{NOOP}    return {{'importer': importer}}\n"
    reply = load(source, preload=False)
    assert (reply["preload"], reply["notes"]) == (False, [])
    workers = [zygote.fork(number).wait_ready() for number in range(2)]
    for worker in workers:
        assert worker.core.outcome(worker.core.give()).variables == {"importer": worker.pid}


def test_module_that_changed_after_the_probe_is_reported_by_the_worker(
    load: Load, zygote: Zygote, tmp_path: Path
) -> None:
    load(NOOP, preload=False)
    (tmp_path / "handlers.py").write_text("import absent_module")
    worker = zygote.fork()
    worker.core.wait(lambda: worker.core.start_failed is not None)
    assert "absent_module" in str(worker.core.start_failed)
    assert worker.exit_status() == 70


def test_native_threads_are_allowed_with_a_note(load: Load, zygote: Zygote) -> None:
    pytest.importorskip("numpy")
    reply = load(f"import numpy\n{NOOP}    return {{'sum': numpy.ones((64, 64)) @ numpy.ones((64, 1))}}\n")
    assert reply["preload"] is True
    if psutil.Process(zygote.process.pid).num_threads() > 1:
        assert "numpy" in reply["notes"][0]
    worker = zygote.fork().wait_ready()
    assert worker.core.outcome(worker.core.give()).variables == {"sum": [[64.0]] * 64}


def test_signal_settings_of_modules_do_not_reach_workers(load: Load, zygote: Zygote) -> None:
    load(f"""
import signal
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
import subprocess
{NOOP}    return {{"status": subprocess.run(["false"]).returncode, "mask": len(signal.pthread_sigmask(0, []))}}
""")
    worker = zygote.fork().wait_ready()
    os.kill(worker.pid, 15)
    assert worker.core.outcome(worker.core.give()).variables == {"status": 1, "mask": 0}


def test_files_of_the_users_folder_do_not_hide_the_standard_library(tmp_path: Path) -> None:
    for name in ("signal", "argparse", "asyncio", "queue", "selectors"):
        (tmp_path / f"{name}.py").write_text("raise AssertionError")
    (tmp_path / "neighbour.py").write_text("X = 1")
    (tmp_path / "handlers.py").write_text(f"import asyncio, neighbour, queue\n{NOOP}    return {{'x': neighbour.X}}\n")
    zygote = Zygote(tmp_path)
    try:
        assert zygote.load("handlers.py")["op"] == "loaded"
        worker = zygote.fork().wait_ready()
        assert worker.core.outcome(worker.core.give()).variables == {"x": 1}
    finally:
        zygote.close()


def test_wrong_supervisor_ends_the_zygote(zygote: Zygote) -> None:
    zygote.send(
        {"op": "load", "pool": "p", "generation": 1, "handlers": ["handlers.py"], "slots": None, "supervisor_pid": 1}
    )
    assert zygote.process.wait(GUARD_S) == 71
