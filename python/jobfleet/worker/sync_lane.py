"""The lanes of sync handlers: the main thread, or threads that all do the same."""

import os
import sys
import threading
import traceback

from jobfleet.handlers.errors import TimeLimitExceeded
from jobfleet.worker.current import RUNNING, Slot
from jobfleet.worker.encode import encode
from jobfleet.worker.exit_codes import ExitCode
from jobfleet.worker.lane import Lane
from jobfleet.worker.results import EXPLICIT


def run_slot(lane: Lane, slot: int) -> None:
    """Take, call, settle, until the lane has drained."""
    running = Slot()
    RUNNING.set(running)
    lane.around.limits.watch(lane.index, slot, running)
    while True:
        try:
            _run_jobs(lane, slot, running)
            return
        except TimeLimitExceeded:
            # It was meant for a job that ended at that moment; another one may have been taken and cut off.
            running.job = None
            lane.settler.left_behind(slot)


def _run_jobs(lane: Lane, slot: int, running: Slot) -> None:
    """This loop is what a job costs: no call more than needed."""
    index, context, settler = lane.index, lane.context, lane.settler
    link, bindings = lane.around.link, lane.around.bindings
    take, complete = link.take, link.complete
    table = [(binding.decode, binding.function) for binding in bindings]
    while (taken := take(index, slot)) is not None:
        number, type_index, raw = taken
        decode, function = table[type_index]
        try:
            job = decode(raw)
        except Exception as error:
            again = settler.decode_again(slot, number, bindings[type_index], raw, error)
            if again is None:
                continue
            job = again
        job._context = context
        job._number = number
        running.job = job
        try:
            result = function(job)
            if result is None:
                variables = None
            elif type(result) in EXPLICIT:
                settler.complete(slot, number, job, result)
                continue
            else:
                variables = encode(result)
        except BaseException as error:
            settler.raised(slot, number, bindings[type_index], job, error)
            continue
        finally:
            # A worker that waits for its next job must not keep the last one alive.
            taken = raw = job = running.job = result = None  # type: ignore[assignment]
        try:
            complete(index, slot, number, variables)
        except Exception as error:
            settler.not_accepted(slot, number, error)


def start_threads(lane: Lane) -> list[threading.Thread]:
    """One thread per slot, running."""
    threads = [
        threading.Thread(target=_run_thread, args=(lane, slot), name=f"jobfleet-{lane.index}-{slot}", daemon=True)
        for slot in range(lane.slots)
    ]
    for thread in threads:
        thread.start()
    return threads


def _run_thread(lane: Lane, slot: int) -> None:
    try:
        run_slot(lane, slot)
    except BaseException:
        # Without this slot the lane would silently stand still; a dead worker is replaced.
        sys.stderr.write(f"jobfleet: the worker itself failed:\n{traceback.format_exc()}")
        sys.stderr.flush()
        os._exit(ExitCode.BROKEN)
