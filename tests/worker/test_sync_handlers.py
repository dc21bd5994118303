"""Sync handlers in a real worker."""

from collections.abc import Callable

from .fleet import Worker

StartWorker = Callable[..., Worker]

HANDLERS = """
    import msgspec
    from jobfleet import Completion, Job, JobError, JobFailure, handler

    class Payment(msgspec.Struct, rename="camel"):
        order_id: str
        amount: float

    @handler("noop")
    def noop(job):
        pass

    @handler("typed")
    def typed(job: Job[Payment]) -> dict:
        return {"order": job.variables.order_id, "key": job.key, "retries": job.retries}
"""


def test_none_completes_without_variables(worker: StartWorker) -> None:
    core = worker(HANDLERS).core
    outcome = core.outcome(core.give(0))
    assert (outcome.kind, outcome.variables) == ("complete", None)


def test_typed_variables_reach_the_handler_and_its_mapping_comes_back(worker: StartWorker) -> None:
    core = worker(HANDLERS).core
    outcome = core.outcome(core.give(1, variables={"orderId": "a-1", "amount": 2}))
    assert outcome.variables == {"order": "a-1", "key": "2251799813685259", "retries": 3}


def test_jobs_of_newer_engines_with_text_keys_are_read(worker: StartWorker) -> None:
    core = worker(HANDLERS).core
    outcome = core.outcome(core.give(1, variables={"orderId": "a", "amount": 1}, jobKey="77", kind="BRAND_NEW"))
    assert outcome.variables["key"] == "77"


def test_a_thousand_jobs_keep_their_order_and_none_is_lost(worker: StartWorker) -> None:
    core = worker(HANDLERS).core
    jobs = [core.give(1, variables={"orderId": str(n), "amount": n}) for n in range(1000)]
    outcomes = [core.outcome(job) for job in jobs]
    assert [outcome.variables["order"] for outcome in outcomes] == [str(n) for n in range(1000)]


def test_drained_worker_exits_by_itself_with_status_0(worker: StartWorker) -> None:
    started = worker(HANDLERS)
    job = started.core.give(0)
    started.core.drain()
    assert started.core.outcome(job).kind == "complete"
    assert started.exit_status() == 0
