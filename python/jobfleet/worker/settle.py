"""Settles jobs whose handler did not simply return variables: every path but the hot one."""

import contextlib
import sys
import traceback
from typing import TYPE_CHECKING, Any

from jobfleet.handlers.backoff import Backoff, backoff_for
from jobfleet.handlers.binding import Binding
from jobfleet.handlers.completion import Completion
from jobfleet.handlers.decode import BadVariables, decode_again
from jobfleet.handlers.duration import to_ms
from jobfleet.handlers.errors import JobError, JobFailure
from jobfleet.handlers.job import Job
from jobfleet.worker.encode import NotEncodable, encode
from jobfleet.worker.failure_log import FailureLog
from jobfleet.worker.failure_text import cut, failure_text
from jobfleet.worker.fork_guard import ForkGuard
from jobfleet.worker.results import encode_completion

if TYPE_CHECKING:
    from jobfleet._core import Link


class Settler:
    """Turns exceptions and unusual results of one lane's jobs into outcomes."""

    def __init__(self, link: "Link", lane: int, guard: ForkGuard) -> None:
        self._link = link
        self._lane = lane
        self._guard = guard
        self._log = FailureLog(link, lane)

    def decode_again(self, slot: int, number: int, binding: Binding, raw: bytes, error: Exception) -> Job[Any] | None:
        """The job after all, or None when its variables do not fit and it is settled as failed."""
        try:
            return decode_again(binding.decode, binding.declared, raw, error)
        except BadVariables as misfit:
            self._bad_data(slot, number, binding, str(misfit))
        except Exception as unexpected:
            self._bad_data(slot, number, binding, failure_text(unexpected))
        return None

    def complete(self, slot: int, number: int, job: Job[Any], returned: Any) -> None:
        """Settle with what is more than variables. Raises NotEncodable, also for a result that the job cannot have."""
        variables, result = encode_completion(returned, job)
        business_id = returned.business_id if type(returned) is Completion else None
        self._link.complete(self._lane, slot, number, variables, result, business_id)

    def raised(self, slot: int, number: int, binding: Binding, job: Job[Any], error: BaseException) -> None:
        """Settle a job whose handler, or whose result, raised `error`."""
        if self._guard.in_child:
            self._guard.leave(error)
        try:
            self._settle(slot, number, binding, job, error)
        except NotEncodable as wrong:
            self._bad_data(slot, number, binding, str(wrong), job)
        except Exception:
            self._not_accepted(slot, number, traceback.format_exc())
        finally:
            # The traceback's frames hold the exception, which holds the traceback.
            with contextlib.suppress(Exception):
                error.__traceback__ = None

    def not_accepted(self, slot: int, number: int, error: BaseException) -> None:
        """Settle a job whose outcome the link refused: it is too large, or this is a child that a handler forked."""
        if self._guard.in_child:
            self._guard.leave()
        self._not_accepted(slot, number, f"the outcome cannot be sent: {error}")

    def left_behind(self, slot: int) -> None:
        """Give back a job that `slot` has taken and that nobody runs."""
        number = self._link.running(self._lane, slot)
        if number is not None:
            self._link.hand_back(self._lane, slot, number, "the time limit of another job came late and hit this one")

    def _settle(self, slot: int, number: int, binding: Binding, job: Job[Any], error: BaseException) -> None:
        if isinstance(error, JobError):
            variables = None if error.variables is None else encode(error.variables, "variables")
            message = None if error.message is None else cut(str(error.message))
            self._link.throw_error(self._lane, slot, number, error.code, message, variables)
        elif isinstance(error, JobFailure):
            self._fail_exactly(slot, number, binding, job, error)
        elif isinstance(error, NotEncodable):
            self._bad_data(slot, number, binding, str(error), job)
        else:
            backoff = backoff_for(binding.backoff, type(error))
            retries = backoff.retries_left(job.retries)
            pause_ms = backoff.pause_ms(job.retries)
            text = failure_text(error)
            self._link.fail(self._lane, slot, number, text, retries, pause_ms)
            self._log.failed(number, text, retries, pause_ms)

    def _fail_exactly(self, slot: int, number: int, binding: Binding, job: Job[Any], failure: JobFailure) -> None:
        usual = backoff_for(binding.backoff, type(failure))
        retries = usual.retries_left(job.retries) if failure.retries is None else max(0, int(failure.retries))
        if failure.backoff is None or isinstance(failure.backoff, Backoff):
            pause_ms = (failure.backoff or usual).pause_ms(job.retries)
        else:
            pause_ms = to_ms(failure.backoff, "backoff")
        variables = None if failure.variables is None else encode(failure.variables, "variables")
        self._link.fail(self._lane, slot, number, cut(str(failure.message)), retries, pause_ms, variables)

    def _bad_data(self, slot: int, number: int, binding: Binding, message: str, job: Job[Any] | None = None) -> None:
        retries, pause_ms = None, None
        if not binding.retry_bad_data:
            retries, pause_ms = 0, 0
        elif job is not None:
            backoff = backoff_for(binding.backoff, NotEncodable)
            retries, pause_ms = backoff.retries_left(job.retries), backoff.pause_ms(job.retries)
        self._link.fail(self._lane, slot, number, cut(message), retries, pause_ms)
        self._log.failed(number, cut(message), retries, pause_ms or 0)

    def _not_accepted(self, slot: int, number: int, message: str) -> None:
        try:
            self._link.fail(self._lane, slot, number, cut(message), 0, 0)
        except Exception as refused:
            # The job's lease brings it back; there is nothing left to send it with.
            sys.stderr.write(f"jobfleet: job {number} of lane {self._lane} cannot be settled: {refused}\n")
