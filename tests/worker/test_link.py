"""The class `Link`, against a core that speaks raw frames."""

import asyncio
import ctypes
import os
import select
import signal
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jobfleet._core import Link

from .fleet import wait_for
from .raw_core import GUARD_S, RawCore, cancel, frame, job, jobs

pytestmark = pytest.mark.timeout(60)

MAIN = [("main", 1)]
VARIABLES = b'{"a":1}'


def blob(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def some(data: bytes) -> bytes:
    return b"\1" + blob(data)


@pytest.fixture
def core() -> Iterator[RawCore]:
    core = RawCore(MAIN)
    yield core
    core.close()


@pytest.fixture
def link(core: RawCore) -> Link:
    return core.open_link()


def test_a_job_s_bytes_arrive_and_its_outcome_goes_back(core: RawCore, link: Link) -> None:
    link.ready()
    assert core.receive().kind == "ready"
    core.socket.sendall(job(1, b'{"key":"7"}', type_index=3))
    assert link.take(0, 0) == (1, 3, b'{"key":"7"}')
    assert core.line(2)[0] == 2, "job 2 may start next"
    number, started_ns, state = core.line(3)
    assert (number, state & 0xFFFFFFFF, state >> 32) == (1, 1, threading.get_native_id())
    link.complete(0, 0, 1, VARIABLES)
    outcome = core.receive()
    assert (outcome.kind, outcome.number, outcome.outcome) == ("outcome", 1, b"\0" + some(VARIABLES) + b"\0\0")
    assert outcome.run_ns > 0
    assert started_ns > 0
    assert core.line(3)[2] & 0xFFFFFFFF == 2
    assert core.line(1)[:2] == (1, 1)


@pytest.mark.parametrize(
    ("settle", "expected"),
    [
        (lambda link: link.complete(0, 0, 1, None, b"[]"), b"\0\0" + some(b"[]") + b"\0"),
        (lambda link: link.complete(0, 0, 1, None, None, "é"), b"\0\0\0" + some("é".encode())),
        (lambda link: link.fail(0, 0, 1, "é"), b"\1" + blob("é".encode()) + b"\0\0\0"),
        (
            lambda link: link.fail(0, 0, 1, "m", retries=2, backoff_ms=500, variables=VARIABLES),
            b"\1" + blob(b"m") + b"\1" + struct.pack("<i", 2) + b"\1" + struct.pack("<Q", 500) + some(VARIABLES),
        ),
        (lambda link: link.throw_error(0, 0, 1, "C"), b"\2" + blob(b"C") + b"\0\0"),
        (
            lambda link: link.throw_error(0, 0, 1, "C", "m", VARIABLES),
            b"\2" + blob(b"C") + some(b"m") + some(VARIABLES),
        ),
        (lambda link: link.hand_back(0, 0, 1, "stop"), b"\3" + blob(b"stop") + struct.pack("<Q", 0)),
        (lambda link: link.hand_back(0, 0, 1, "stop", 70), b"\3" + blob(b"stop") + struct.pack("<Q", 70)),
    ],
)
def test_each_outcome_is_sent_as_given(
    core: RawCore, link: Link, settle: Callable[[Link], None], expected: bytes
) -> None:
    core.socket.sendall(job(1))
    link.take(0, 0)
    settle(link)
    assert core.receive().outcome == expected


def test_a_lone_surrogate_in_a_message_is_replaced(core: RawCore, link: Link) -> None:
    core.socket.sendall(job(1))
    link.take(0, 0)
    link.fail(0, 0, 1, "bad \udc80 text")
    assert "bad \N{REPLACEMENT CHARACTER}".encode() in core.receive().outcome


def test_frames_split_at_every_byte_arrive(core: RawCore, link: Link) -> None:
    def send_bytes() -> None:
        for byte in job(1, b"first") + job(2, b"second"):
            core.socket.sendall(bytes([byte]))

    sender = threading.Thread(target=send_bytes)
    sender.start()
    assert link.take(0, 0) == (1, 0, b"first")
    link.complete(0, 0, 1, None)
    assert link.take(0, 0) == (2, 0, b"second")
    sender.join()


def test_an_outcome_is_flushed_while_the_next_handler_holds_the_gil() -> None:
    core = RawCore(MAIN)
    core.socket.sendall(jobs(1, 60))
    worker = os.fork()
    if worker == 0:
        core.close()
        link = core.open_link()
        for number in range(1, 51):
            link.take(0, 0)
            link.complete(0, 0, number, None)
        link.take(0, 0)
        ctypes.PyDLL(None).sleep(600)
        os._exit(1)
    os.close(core.link_fd)
    try:
        # The worker settles these at once and then never runs Python again.
        assert [core.receive().number for _ in range(50)] == list(range(1, 51))
        wait_for(lambda: core.line(3)[0] == 51, "the worker to take the last job")
        assert os.waitpid(worker, os.WNOHANG) == (0, 0)
    finally:
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)


def test_a_full_socket_blocks_no_handler_and_loses_no_outcome(core: RawCore, link: Link) -> None:
    large = b'"' + b"x" * 200_000 + b'"'
    core.socket.sendall(jobs(1, 30))
    for number in range(1, 31):
        link.take(0, 0)
        link.complete(0, 0, number, large)
    assert not link.flush(0), "nobody has read"
    for number in range(1, 31):
        outcome = core.receive()
        assert (outcome.number, outcome.outcome) == (number, b"\0" + some(large) + b"\0\0")
    assert link.flush()


def test_log_records_beyond_the_budget_are_dropped_and_counted(core: RawCore, link: Link) -> None:
    record = b'"' + b"x" * 998 + b'"'
    for _ in range(4000):
        link.log(20, 0, 1, record)
    logged = dropped = 0
    while logged + dropped < 4000:
        found = core.receive()
        if found.kind == "log":
            assert found.payload == struct.pack("<BHQ", 20, 0, 1) + record
            logged += 1
        else:
            assert found.kind == "logs_dropped"
            dropped += struct.unpack("<Q", found.payload)[0]
    assert dropped > 0
    assert logged > 1000


def test_the_end_of_the_link_wakes_every_blocked_taker() -> None:
    core = RawCore([("main", 1), ("threads", 3)])
    link = core.open_link()
    taken: list[Any] = []
    takers = [threading.Thread(target=lambda slot=slot: taken.append(link.take(1, slot))) for slot in range(3)]
    for taker in takers:
        taker.start()
    core.close()
    assert link.take(0, 0) is None
    for taker in takers:
        taker.join(GUARD_S)
    assert taken == [None, None, None]
    assert link.drained
    assert not link.flush()


def test_a_taker_is_woken_while_another_thread_waits_for_the_gil() -> None:
    core = RawCore([("threads", 2)])
    link = core.open_link()
    core.socket.sendall(jobs(1, 2))
    taken: list[Any] = []
    takers = [threading.Thread(target=lambda slot=slot: taken.append(link.take(0, slot))) for slot in range(2)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join(GUARD_S)
    assert sorted(number for number, _, _ in taken) == [1, 2]
    core.close()


def test_draining_ends_once_every_taken_job_is_settled(core: RawCore, link: Link) -> None:
    core.socket.sendall(jobs(1, 2))
    core.drain()
    link.take(0, 0)
    link.complete(0, 0, 1, None)
    link.take(0, 0)
    assert not link.drained
    link.complete(0, 0, 2, None)
    assert link.take(0, 0) is None
    assert link.drained
    assert [core.receive().number for _ in range(2)] == [1, 2]


def test_a_revoked_job_is_not_given(core: RawCore, link: Link) -> None:
    core.socket.sendall(jobs(1, 3))
    link.take(0, 0)
    os.pwrite(core.memory, struct.pack("<Q", 4), 64 * 2)
    link.complete(0, 0, 1, None)
    core.socket.sendall(job(4, b"after"))
    assert link.take(0, 0) == (4, 0, b"after")


def test_take_gives_up_after_its_timeout(core: RawCore, link: Link) -> None:
    assert link.take(0, 0, 0.0) is None
    assert link.take(0, 0, 0.001) is None
    assert not link.drained
    for timeout in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="timeout"):
            link.take(0, 0, timeout)


def test_a_signal_handler_runs_while_take_waits(core: RawCore, link: Link) -> None:
    handled, ended = threading.Event(), threading.Event()

    class Enough(Exception):
        pass

    def on_signal(_number: int, _frame: object) -> None:
        if handled.is_set() and not ended.is_set():
            ended.set()
            raise Enough
        handled.set()

    def send_signals() -> None:
        # One that arrives just before the wait begins is only seen after it, so one is not enough.
        while not handled.wait(0.01):
            signal.pthread_kill(main, signal.SIGUSR1)
        while not ended.wait(0.01):
            signal.pthread_kill(main, signal.SIGUSR1)

    main = threading.get_ident()
    sender = threading.Thread(target=send_signals)
    before = signal.signal(signal.SIGUSR1, on_signal)
    sender.start()
    with pytest.raises(Enough):
        link.take(0, 0)
    sender.join()
    signal.signal(signal.SIGUSR1, before)


def test_an_asyncio_loop_takes_jobs_when_its_descriptor_is_readable() -> None:
    core = RawCore([("loop", 4)])
    link = core.open_link()

    async def run() -> list[bytes]:
        loop, bodies, over = asyncio.get_running_loop(), [], asyncio.Event()

        def on_wake() -> None:
            os.read(link.wake_fd(0), 8)
            while (taken := link.try_take(0)) is not None:
                slot, number, _, body = taken
                bodies.append(body)
                loop.call_soon(link.complete, 0, slot, number, body)
            if link.drained:
                over.set()

        loop.add_reader(link.wake_fd(0), on_wake)
        core.socket.sendall(b"".join(job(number, b"%d" % number) for number in range(1, 101)))
        core.drain()
        await asyncio.wait_for(over.wait(), GUARD_S)
        return bodies

    assert asyncio.run(run()) == [b"%d" % number for number in range(1, 101)]
    assert sorted(core.receive().number for _ in range(100)) == list(range(1, 101))
    core.close()


def test_cancelled_jobs_are_told_once() -> None:
    core = RawCore([("main", 1), ("loop", 1)])
    link = core.open_link()
    core.socket.sendall(job(1))
    link.take(0, 0)
    core.socket.sendall(cancel(1, "lease lost"))
    assert select.select([link.wake_fd(1)], [], [], GUARD_S)[0]
    assert link.take_cancels() == [(0, 1, "lease lost")]
    assert link.take_cancels() == []
    link.complete(0, 0, 1, None)
    core.close()


def test_a_start_failure_is_reported_before_the_call_returns(core: RawCore, link: Link) -> None:
    link.start_failed("handlers.py cannot be imported")
    assert core.receive() == ("start_failed", b"handlers.py cannot be imported")


@pytest.mark.parametrize("bad", [-1, 1, 65_535, 65_536, 2**64, -(2**70)])
def test_a_lane_or_slot_out_of_range_is_a_value_error(core: RawCore, link: Link, bad: int) -> None:
    core.socket.sendall(job(1))
    link.take(0, 0)
    calls: list[Callable[[], object]] = [
        lambda: link.take(bad, 0),
        lambda: link.take(0, bad),
        lambda: link.try_take(bad),
        lambda: link.wake_fd(bad),
        lambda: link.complete(bad, 0, 1, None),
        lambda: link.complete(0, bad, 1, None),
        lambda: link.fail(0, bad, 1, ""),
        lambda: link.throw_error(bad, 0, 1, ""),
        lambda: link.hand_back(bad, 0, 1, ""),
        lambda: link.log(20, bad, 1, b"{}"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"lane|slot|range"):
            call()
    link.complete(0, 0, 1, None)
    assert core.receive().number == 1


@pytest.mark.parametrize("bad", [-1, 0, 2, 2**63, 2**64])
def test_a_number_that_never_came_is_a_value_error(core: RawCore, link: Link, bad: int) -> None:
    core.socket.sendall(job(1))
    link.take(0, 0)
    with pytest.raises(ValueError, match=r"never had|range"):
        link.complete(0, 0, bad, None)


def test_settling_twice_sends_one_outcome(core: RawCore, link: Link) -> None:
    core.socket.sendall(jobs(1, 2))
    link.take(0, 0)
    link.complete(0, 0, 1, None)
    link.fail(0, 0, 1, "too late")
    link.take(0, 0)
    link.complete(0, 0, 2, None)
    assert [core.receive().number for _ in range(2)] == [1, 2]


def test_taking_into_a_slot_that_runs_is_a_value_error(core: RawCore, link: Link) -> None:
    core.socket.sendall(jobs(1, 2))
    link.take(0, 0)
    with pytest.raises(ValueError, match="still runs"):
        link.take(0, 0)


def test_an_outcome_too_long_for_the_link_is_refused_and_the_job_can_still_be_failed(core: RawCore, link: Link) -> None:
    core.socket.sendall(job(1))
    link.take(0, 0)
    with pytest.raises(ValueError, match="limit"):
        link.complete(0, 0, 1, bytes(64 << 20))
    link.fail(0, 0, 1, "too large", retries=0)
    assert core.receive().number == 1


@pytest.mark.parametrize("rubbish", [frame(99), frame(1, b"short"), b"\0\0\0\0", b"\xff" * 9, job(7), job(1, lane=3)])
def test_a_malformed_frame_ends_the_link(core: RawCore, link: Link, rubbish: bytes) -> None:
    core.socket.sendall(rubbish)
    assert link.take(0, 0) is None
    assert link.drained
    with pytest.raises((EOFError, ConnectionResetError)):
        core.receive()


def test_descriptors_and_lanes_that_do_not_fit_are_refused() -> None:
    core = RawCore(MAIN)
    with pytest.raises(ValueError, match="main, threads or loop"):
        Link(os.dup(core.link_fd), os.dup(core.recorder_fd), [("fibres", 1)])
    for lanes in ([], [("main", 0)], [("main", 70_000)], [("main", -1)], [("main", 2)], [("main", 1), ("loop", 1)]):
        with pytest.raises(ValueError):  # noqa: PT011
            Link(os.dup(core.link_fd), os.dup(core.recorder_fd), lanes)
    with pytest.raises(OSError, match="Bad file descriptor"):
        Link(1_000_000, os.dup(core.recorder_fd), MAIN)
    with pytest.raises(ValueError, match="same"):
        Link(core.link_fd, core.link_fd, MAIN)
    reader, writer = os.pipe()
    with pytest.raises((OSError, ValueError)):
        Link(reader, os.dup(core.recorder_fd), MAIN)
    with pytest.raises((OSError, ValueError)):
        Link(os.dup(core.link_fd), writer, MAIN)
    assert core.open_link().drained is False


def test_no_descriptor_survives_an_exec(core: RawCore, link: Link) -> None:
    assert not os.get_inheritable(core.link_fd)
    fds = [int(name) for name in os.listdir("/proc/self/fd")]
    names = {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in fds if os.path.lexists(f"/proc/self/fd/{fd}")}
    ours = [fd for fd, name in names.items() if "eventpoll" in name or "eventfd" in name or "timerfd" in name]
    assert ours
    assert not any(survives_an_exec(fd) for fd in ours)


def survives_an_exec(fd: int) -> bool:
    """False too for a descriptor of an earlier test that has been closed since it was listed."""
    try:
        return os.get_inheritable(fd)
    except OSError:
        return False


def in_child(act: Callable[[], None]) -> int:
    """Run `act` in a forked child; returns its exit status."""
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_is_refused_by_every_method(core: RawCore, link: Link) -> None:
    core.socket.sendall(jobs(1, 2))
    link.take(0, 0)

    def act() -> None:
        calls: list[Callable[[], object]] = [
            link.start,
            link.ready,
            lambda: link.start_failed(""),
            lambda: link.take(0, 0),
            lambda: link.try_take(0),
            lambda: link.wake_fd(0),
            lambda: link.complete(0, 0, 1, None),
            lambda: link.fail(0, 0, 1, ""),
            lambda: link.throw_error(0, 0, 1, ""),
            lambda: link.hand_back(0, 0, 1, ""),
            lambda: link.log(20, 0, 1, b"{}"),
            link.flush,
            link.take_cancels,
            lambda: link.drained,
        ]
        for call in calls:
            with pytest.raises(RuntimeError, match=f"belongs to process {os.getppid()}"):
                call()

    assert in_child(act) == 0
    link.complete(0, 0, 1, None)
    assert core.receive().number == 1


def test_a_child_that_closed_its_copies_does_not_keep_the_link_open(core: RawCore) -> None:
    link = core.open_link()
    told, tell = os.pipe()
    ask, answer = os.pipe()
    child = os.fork()
    if child == 0:
        before = set(os.listdir("/proc/self/fd"))
        link.close_after_fork()
        link.close_after_fork()
        closed = len(before - set(os.listdir("/proc/self/fd")))
        del link
        os.write(tell, bytes([closed]))
        os.read(ask, 1)
        os._exit(0)
    assert os.read(told, 1)[0] >= 4, "link, epoll, timer and eventfd"
    del link
    with pytest.raises(EOFError):
        core.receive()
    os.write(answer, b"x")
    assert os.waitpid(child, 0)[1] == 0


def test_the_worker_itself_cannot_close_its_link_like_a_child(core: RawCore, link: Link) -> None:
    with pytest.raises(RuntimeError, match="a child"):
        link.close_after_fork()
    core.socket.sendall(job(1))
    assert link.take(0, 0) is not None


def test_a_child_may_open_a_link_of_its_own(core: RawCore, link: Link) -> None:
    other = RawCore(MAIN)
    other.socket.sendall(job(1))

    def act() -> None:
        own = other.open_link()
        assert own.take(0, 0) is not None
        own.complete(0, 0, 1, None)
        assert own.flush()

    assert in_child(act) == 0
    assert other.receive().number == 1
    number, _, state = other.line(3)
    assert number == 1
    assert state >> 32 != threading.get_native_id()
