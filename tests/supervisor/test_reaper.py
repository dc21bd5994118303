"""The reaper, with real children."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from jobfleet.supervisor.reaper import Child, Exit, Reaper


class Stage:
    """A reaper on a loop of its own, and what it told."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.reaper = Reaper(asyncio.get_running_loop(), self.errors.append)
        self.reaper.start()

    def spawn(self, program: str, new_session: bool = True) -> int:
        """Start a child that the reaper, and nobody else, waits for."""
        return os.posix_spawn(
            sys.executable, [sys.executable, "-c", program], dict(os.environ), setpgroup=0 if new_session else None
        )

    async def end_of(self, pid: int) -> Exit:
        """Watch `pid` until its end."""
        ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        watched = self.reaper.watch(pid, ended.set_result)
        return watched if isinstance(watched, Exit) else await asyncio.wait_for(ended, 30)


def is_our_child(pid: int) -> bool:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def on_stage(play: Callable[[Stage], object]) -> None:
    async def run() -> None:
        stage = Stage()
        try:
            await play(stage)  # type: ignore[misc]
        finally:
            stage.reaper.stop()
        assert stage.errors == []

    asyncio.run(run())


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise SystemExit(3)", "exited with status 3"),
        ("pass", "exited with status 0"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by signal 9 (SIGKILL)"),
        ("import os; os.kill(os.getpid(), 35)", "was killed by signal 35 (unnamed)"),
    ],
)
def test_exit_says_how_a_child_ended(program: str, said: str) -> None:
    async def play(stage: Stage) -> None:
        pid = stage.spawn(program)
        assert str(await stage.end_of(pid)) == said
        assert not is_our_child(pid)

    on_stage(play)


def test_owner_is_told_while_the_pid_is_still_taken() -> None:
    async def play(stage: Stage) -> None:
        pid = stage.spawn("pass")
        told: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def ended(_: Exit) -> None:
            with open(f"/proc/{pid}/stat") as stat:
                told.set_result(stat.read().rpartition(")")[2].split()[0])

        stage.reaper.watch(pid, ended)
        assert await asyncio.wait_for(told, 30) == "Z"

    on_stage(play)


def test_process_group_of_a_dead_child_is_killed() -> None:
    async def play(stage: Stage) -> None:
        inner, outer = os.pipe()
        os.set_inheritable(outer, True)
        pid = stage.spawn("import subprocess, os; subprocess.Popen(['sleep', '600'], close_fds=False); os._exit(1)")
        os.close(outer)
        await stage.end_of(pid)
        # The end of the pipe comes when the grandchild is gone too.
        assert await asyncio.wait_for(asyncio.to_thread(os.read, inner, 1), 30) == b""
        os.close(inner)

    on_stage(play)


def test_child_that_ended_before_it_was_announced_is_not_mistaken() -> None:
    async def play(stage: Stage) -> None:
        stage.reaper.expect(+1)
        pid = stage.spawn("raise SystemExit(4)")
        while not stage.reaper.orphans:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
        assert str(await stage.end_of(pid)) == "exited with status 4"
        stage.reaper.expect(-1)

    on_stage(play)


def test_pid_of_nobody_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        gone = child.pid

    async def play(stage: Stage) -> None:
        assert isinstance(stage.reaper.watch(gone, lambda _: None), Exit)

    on_stage(play)


def test_many_deaths_at_once_are_all_told() -> None:
    async def play(stage: Stage) -> None:
        pids = [stage.spawn("import signal; signal.pause()") for _ in range(20)]
        ends = [asyncio.ensure_future(stage.end_of(pid)) for pid in pids]
        await asyncio.sleep(0)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert [(await end).signal for end in ends] == [signal.SIGKILL] * 20

    on_stage(play)


def test_signal_goes_to_the_child_and_after_its_end_nowhere() -> None:
    async def play(stage: Stage) -> None:
        pid = stage.spawn("import signal; signal.pause()")
        ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        child = stage.reaper.watch(pid, ended.set_result)
        assert isinstance(child, Child)
        child.kill()
        assert (await asyncio.wait_for(ended, 30)).signal == signal.SIGKILL
        await asyncio.sleep(0)
        child.kill()

    on_stage(play)


def test_owner_that_fails_does_not_keep_the_others_from_being_reaped() -> None:
    async def run() -> None:
        stage = Stage()

        def fail(_: Exit) -> None:
            raise RuntimeError("no")

        stage.reaper.watch(stage.spawn("pass"), fail)
        await stage.end_of(stage.spawn("pass"))
        while not stage.errors:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
        assert "RuntimeError('no')" in stage.errors[0]
        stage.reaper.stop()

    asyncio.run(run())


@contextmanager
def no_descriptors() -> Iterator[None]:
    """As if this process had as many open files as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_child_is_killed_and_reaped_when_there_is_no_descriptor_for_a_pidfd() -> None:
    async def play(stage: Stage) -> None:
        pid = stage.spawn("import time; time.sleep(600)")
        ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        with no_descriptors():
            child = stage.reaper.watch(pid, ended.set_result)
            assert isinstance(child, Child)
            assert child.pidfd == -1
        child.kill()
        assert str(await asyncio.wait_for(ended, 30)) == "was killed by signal 9 (SIGKILL)"
        assert not is_our_child(pid)
        child.kill()

    on_stage(play)
