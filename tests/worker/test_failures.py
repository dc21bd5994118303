"""What becomes of a job whose handler does not simply return."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from .core_end import CoreEnd, Outcome
from .fleet import Worker

StartWorker = Callable[..., Worker]

HANDLERS = """
    import sys
    from datetime import timedelta
    import msgspec
    from jobfleet import Backoff, Completion, Job, JobError, JobFailure, handler

    def helper(amount):
        raise ValueError(f"amount is {amount}")

    @handler("raises")
    def raises(job):
        try:
            {}["absent"]
        except KeyError as error:
            helper(-1)

    @handler("exits")
    def exits(job):
        {"exit": sys.exit, "interrupt": interrupt}[job.variables["how"]]()

    def interrupt():
        raise KeyboardInterrupt

    @handler("fails")
    def fails(job):
        raise {
            "plain": JobFailure("not now"),
            "exact": JobFailure("not now", retries=7, backoff=timedelta(minutes=2), variables={"seen": True}),
            "text": JobFailure("not now", 2, "90s"),
            "at-once": JobFailure("not now", 1, 0),
            "wrong": JobFailure("not now", 1, "soon"),
        }[job.variables["how"]]

    @handler("errors")
    def errors(job):
        raise JobError("AMOUNT_TOO_HIGH", "needs approval", {"limit": 10})

    @handler("error-alone")
    def error_alone(job):
        raise JobError("GONE")

    @handler("odd-errors")
    def odd_errors(job):
        raise {
            "empty": lambda: JobError(" "),
            "object": lambda: JobError("CODE", ValueError("an exception as its message")),
            "variables": lambda: JobError("CODE", "text", {"x": object()}),
            "surrogate": lambda: JobError("CODE", "\\udc80"),
            "retries": lambda: JobFailure("text", retries=2**40),
        }[job.variables["how"]]()

    @handler("odd-levels")
    def odd_levels(job):
        job.log.log(10_000, "loud")
        job.log.log(-1, "still")

    class Payment(msgspec.Struct, rename="camel"):
        order_id: str
        amount: float

    @handler("typed")
    def typed(job: Job[Payment]):
        return {}

    @handler("returns")
    def returns(job):
        class Unknown:
            def __repr__(self):
                return "Unknown()"

        async def coroutine():
            pass

        return {
            "nan": {"rates": [1.0, float("nan")]},
            "object": {"order": {"items": [1, Unknown()]}},
            "list": [1],
            "text": "done",
            "coroutine": coroutine(),
            "completion": Completion({"a": 1}, {"type": "newer", "flag": False}),
            "big": {"n": 2**70},
        }[job.variables["how"]]

    @handler("lenient", retry_bad_data=True)
    def lenient(job: Job[Payment]):
        return {"x": object()}

    class Busy(Exception):
        pass

    PAUSES = {Busy: Backoff(first="30s", jitter=0.0), Exception: Backoff(first=2, jitter=0.0, tries=2)}

    @handler("patient", backoff=PAUSES)
    def patient(job):
        raise Busy if job.variables["busy"] else OSError("disk")

    class Unprintable(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    @handler("unprintable")
    def unprintable(job):
        raise Unprintable

    @handler("long")
    def long(job):
        def deeper(n):
            return deeper(n - 1) if n else 1 / 0
        raise ValueError("x" * 100_000) if job.variables["how"] == "text" else deeper(500)
"""
TYPES = re.findall(r'@handler\("([^"]+)"', HANDLERS)


@pytest.fixture
def core(worker: StartWorker) -> CoreEnd:
    return worker(HANDLERS).core


def settle(core: CoreEnd, job_type: str, retries: int = 3, **variables: Any) -> Outcome:
    return core.outcome(core.give(TYPES.index(job_type), variables=variables, retries=retries))


def test_exception_fails_with_type_message_place_and_cause(core: CoreEnd) -> None:
    outcome = settle(core, "raises")
    assert outcome.kind == "fail"
    assert outcome.message is not None
    lines = outcome.message.splitlines()
    assert lines[0] == "ValueError: amount is -1"
    assert lines[1].startswith("  handlers.py:")
    assert lines[1].endswith("in raises: helper(-1)")
    assert 'raise ValueError(f"amount is {amount}")' in lines[2]
    assert lines[3] == "caused by KeyError: 'absent'"
    assert "jobfleet/worker" not in outcome.message


def test_exception_costs_one_retry_and_backs_off_for_a_second_at_least(core: CoreEnd) -> None:
    first, second = settle(core, "raises", retries=3), settle(core, "raises", retries=2)
    assert (first.retries, second.retries) == (2, 1)
    assert first.backoff_ms is not None
    assert second.backoff_ms is not None
    assert 1000 <= first.backoff_ms < 2000 <= second.backoff_ms < 4000


def test_retries_never_fall_below_zero(core: CoreEnd) -> None:
    assert settle(core, "raises", retries=0).retries == 0


@pytest.mark.parametrize(("how", "name"), [("exit", "SystemExit"), ("interrupt", "KeyboardInterrupt")])
def test_exit_and_interrupt_fail_the_job_and_not_the_process(core: CoreEnd, how: str, name: str) -> None:
    outcome = settle(core, "exits", how=how)
    assert outcome.kind == "fail"
    assert str(outcome.message).startswith(name)
    assert settle(core, "errors").kind == "error"


def test_job_failure_is_settled_exactly_so(core: CoreEnd) -> None:
    exact = settle(core, "fails", how="exact")
    assert (exact.message, exact.retries, exact.backoff_ms) == ("not now", 7, 120_000)
    assert exact.variables == {"seen": True}
    assert settle(core, "fails", how="text").backoff_ms == 90_000
    assert settle(core, "fails", how="at-once").backoff_ms == 0


def test_job_failure_without_numbers_takes_those_of_an_exception(core: CoreEnd) -> None:
    outcome = settle(core, "fails", how="plain")
    assert outcome.retries == 2
    assert outcome.backoff_ms is not None
    assert outcome.backoff_ms >= 1000


def test_job_failure_with_an_impossible_pause_still_fails_the_job(core: CoreEnd) -> None:
    outcome = settle(core, "fails", how="wrong")
    assert outcome.kind == "fail"
    assert "'soon'" in str(outcome.message)


def test_job_error_throws_its_code_with_message_and_variables(core: CoreEnd) -> None:
    outcome = settle(core, "errors")
    assert (outcome.kind, outcome.code, outcome.message) == ("error", "AMOUNT_TOO_HIGH", "needs approval")
    assert outcome.variables == {"limit": 10}
    alone = settle(core, "error-alone")
    assert (alone.code, alone.message, alone.variables) == ("GONE", None, None)


def test_odd_errors_still_settle_the_job(core: CoreEnd) -> None:
    assert "JobError" in str(settle(core, "odd-errors", how="empty").message)
    assert settle(core, "odd-errors", how="object").message == "an exception as its message"
    assert "variables.x is" in str(settle(core, "odd-errors", how="variables").message)
    assert settle(core, "odd-errors", how="surrogate").message == "\\udc80"
    assert settle(core, "odd-errors", how="retries").kind == "fail"


def test_odd_log_levels_are_brought_into_range(core: CoreEnd) -> None:
    assert settle(core, "odd-levels").kind == "complete"
    assert (core.printed("loud").level, core.printed("still").level) == (255, 0)


def test_variables_that_do_not_fit_fail_with_their_path_and_no_retries(core: CoreEnd) -> None:
    outcome = settle(core, "typed", orderId="a", amount="much")
    assert (outcome.kind, outcome.retries) == ("fail", 0)
    assert outcome.message == "variables do not fit Payment: Expected `float`, got `str` at variables.amount"


def test_missing_variable_is_named(core: CoreEnd) -> None:
    assert "missing required field `orderId` at variables" in str(settle(core, "typed", amount=1).message)


def test_envelope_member_of_another_type_does_not_cost_the_job(core: CoreEnd) -> None:
    variables = {"orderId": "a", "amount": 1}
    job = core.give(TYPES.index("typed"), variables=variables, kind=17, tags=None, priority={"new": 1})
    assert core.outcome(job).kind == "complete"


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"variables": 5}', b'{"variables": null}', b"\xff\xfe"])
def test_undecodable_job_fails_and_the_next_one_runs(core: CoreEnd, raw: bytes) -> None:
    assert core.outcome(core.give(TYPES.index("typed"), raw=raw)).kind == "fail"
    assert settle(core, "typed", orderId="a", amount=1).kind == "complete"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("nan", "result.rates[1] is nan"),
        ("object", "result.order.items[1] is Unknown()"),
        ("list", "result is [1] (list)"),
        ("text", "result is of type str"),
        ("coroutine", "async def"),
    ],
)
def test_result_that_cannot_be_sent_fails_with_its_path_and_no_retries(core: CoreEnd, how: str, words: str) -> None:
    outcome = settle(core, "returns", how=how)
    assert (outcome.kind, outcome.retries) == ("fail", 0)
    assert words in str(outcome.message)


def test_integers_beyond_64_bit_pass(core: CoreEnd) -> None:
    assert settle(core, "returns", how="big").variables == {"n": 2**70}


def test_explicit_completion_carries_variables_and_result(core: CoreEnd) -> None:
    outcome = settle(core, "returns", how="completion")
    assert (outcome.variables, outcome.result) == ({"a": 1}, {"type": "newer", "flag": False})


def test_bad_data_costs_one_retry_where_the_handler_says_so(core: CoreEnd) -> None:
    assert settle(core, "lenient", orderId="a", amount=1).retries == 2
    # The job itself cannot be read, so the core, which knows its retries, takes one off.
    assert settle(core, "lenient", amount=1).retries is None


def test_backoff_is_chosen_by_exception_class_and_bounds_the_tries(core: CoreEnd) -> None:
    assert settle(core, "patient", busy=True).backoff_ms == 30_000
    other = settle(core, "patient", retries=9, busy=False)
    assert (other.retries, other.backoff_ms) == (1, 2_000)


def test_exception_that_cannot_be_shown_fails_the_job(core: CoreEnd) -> None:
    assert str(settle(core, "unprintable").message).startswith("Unprintable: ")


@pytest.mark.parametrize("how", ["text", "frames"])
def test_failure_message_is_bounded(core: CoreEnd, how: str) -> None:
    assert len(str(settle(core, "long", how=how).message)) <= 4_000
