"""Forks workers out of the zygote, and turns the forked process into a worker."""

import gc
import os
import struct
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import msgspec

from jobfleet.handlers.errors import LoadError
from jobfleet.handlers.limits import NO_LIMITS, Limits
from jobfleet.handlers.load import Loaded, load
from jobfleet.handlers.spec import Strategy
from jobfleet.worker.control import close_all
from jobfleet.worker.exit_codes import ExitCode
from jobfleet.worker.output import finish_output
from jobfleet.worker.parent import die_with_parent, wait_for_adoption
from jobfleet.worker.process import exit_now, run_to_exit
from jobfleet.worker.signals import accept_dumps, settle_down

_PID = struct.Struct("i")


class Unloaded(msgspec.Struct):
    """A pool whose workers import their handlers after the fork."""

    handlers: list[str]
    slots: int | None
    lanes: list[tuple[Strategy, int]]
    types: list[str]
    """Both as the probe found them."""
    limits: Limits = NO_LIMITS


def double_fork(become: Callable[[int, int], NoReturn]) -> int:
    """Fork a process that is nobody's child here, and return its id. Raises OSError.

    In it, `become(between, written)` runs: the process between it and the zygote, and a descriptor to close. The
    supervisor, a sub-reaper, adopts it, so that it outlives the zygote.
    """
    finish_output()
    readable, writable = os.pipe()
    try:
        with warnings.catch_warnings():
            # Python warns of native threads, which the zygote's operator has a note about.
            warnings.simplefilter("ignore", DeprecationWarning)
            between = os.fork()
        if between == 0:
            _fork_again(become, writable)
        os.close(writable)
        answer = os.read(readable, _PID.size)
        os.waitpid(between, 0)
    finally:
        os.close(readable)
    if len(answer) != _PID.size:
        raise OSError("the process between zygote and worker died")
    (pid,) = _PID.unpack(answer)
    if pid < 0:
        raise OSError(-pid, os.strerror(-pid))
    return int(pid)


def _fork_again(become: Callable[[int, int], NoReturn], writable: int) -> NoReturn:
    between = os.getpid()
    try:
        pid = os.fork()
    except OSError as refused:
        pid = -(refused.errno or 1)
    if pid == 0:
        become(between, writable)
    if pid > 0:
        # Before the zygote tells of it: from then on the worker must not die with the zygote's group.
        with suppress(OSError):
            os.setpgid(pid, pid)
    os.write(writable, _PID.pack(pid))
    os._exit(0)


def become_worker(
    pool: Loaded | Unloaded, descriptors: list[int], foreign: list[int], supervisor: int, between: int
) -> NoReturn:
    """Run as a worker of `pool` with the descriptors of link, recorder and output; `foreign` ones are closed first."""
    try:
        close_all(foreign)
        link_fd, recorder_fd, output_fd = descriptors
        redirect(output_fd)
        settle_in(supervisor, between)
        accept_dumps()
        _reseed()
        gc.enable()
        _serve(pool, link_fd, recorder_fd)
    except BaseException:
        sys.stderr.write(f"jobfleet: the worker cannot start:\n{traceback.format_exc()}")
    exit_now(ExitCode.NOT_STARTED)


def _serve(pool: Loaded | Unloaded, link_fd: int, recorder_fd: int) -> NoReturn:
    from jobfleet._core import Link  # noqa: PLC0415 - see import_link

    lanes: list[tuple[str, int]] = [(kind, slots) for kind, slots in pool.lanes]
    link = Link(link_fd, recorder_fd, lanes)
    link.start()
    if isinstance(pool, Unloaded):
        try:
            pool = _load_now(pool)
        except LoadError as failed:
            sys.stderr.write(f"jobfleet: {failed}\n{failed.detail}")
            link.start_failed(str(failed))
            exit_now(ExitCode.START_FAILED)
    run_to_exit(pool, link)


def _load_now(pool: Unloaded) -> Loaded:
    loaded = load(pool.handlers, pool.slots, pool.limits)
    if loaded.lanes != pool.lanes or [handler.type for handler in loaded.handlers] != pool.types:
        # The fleet numbers the handlers: with other ones a job would reach the wrong function.
        raise LoadError("the handlers are not those that were declared to the fleet; reload the fleet")
    return loaded


def settle_in(supervisor: int, between: int) -> None:
    """What a process does first that was forked twice: see to it that it ends with its supervisor, and to signals."""
    wait_for_adoption(supervisor, between)
    die_with_parent(supervisor)
    os.setpgid(0, 0)
    settle_down()


def redirect(output_fd: int) -> None:
    """Read nothing, and write stdout and stderr to `output_fd`, which is closed."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output_fd, 1)
    os.dup2(output_fd, 2)
    close_all([nothing, output_fd])


def _reseed() -> None:
    """Workers must not draw the same random numbers. Python sees to its own generator."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
