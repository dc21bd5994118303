"""Jobs that are no ordinary ones, in a real worker process: what the handler sees, and what leaves the process."""

from __future__ import annotations

from typing import Any

from .test_async_handlers import StartWorker

LISTENER = {
    "kind": "TASK_LISTENER",
    "listenerEventType": "ASSIGNING",
    "userTask": {
        "action": "assign",
        "assignee": "ada",
        "candidateGroups": ["sales"],
        "candidateUsers": [],
        "changedAttributes": ["assignee"],
        "dueDate": None,
        "followUpDate": None,
        "formKey": None,
        "priority": 50,
        "userTaskKey": "2251799813685300",
        "newerThanUs": 1,
    },
}


def test_task_listener_sees_its_user_task_and_corrects_it(worker: StartWorker) -> None:
    core = worker("""
        from jobfleet import Corrections, Job, handler

        @handler("listen")
        def listen(job: Job):
            task = job.user_task
            seen = [job.listener_event_type, task.action, task.assignee, *task.candidate_groups, task.key]
            return Corrections(assignee=" ".join(seen), candidate_users=[])
    """).core
    outcome = core.outcome(core.give(**LISTENER))
    assert (outcome.kind, outcome.variables) == ("complete", None)
    assert outcome.result == {
        "type": "userTask",
        "corrections": {"assignee": "ASSIGNING assign ada sales 2251799813685300", "candidateUsers": []},
    }


def test_async_listener_denies(worker: StartWorker) -> None:
    core = worker("""
        from jobfleet import Denial, Job, handler

        @handler("listen")
        async def listen(job: Job):
            return Denial("not yours")
    """).core
    outcome = core.outcome(core.give(**LISTENER))
    assert outcome.result == {"type": "userTask", "denied": True, "deniedReason": "not yours"}


def test_result_of_the_wrong_kind_fails_the_job_with_the_words(worker: StartWorker) -> None:
    core = worker("""
        from jobfleet import Corrections, Job, handler

        @handler("work")
        def work(job: Job):
            return Corrections(priority=1)

        @handler("bad")
        def bad(job: Job):
            return Corrections(priority=1000)
    """).core
    outcome = core.outcome(core.give())
    assert (outcome.kind, outcome.retries) == ("fail", 0)
    assert outcome.message is not None
    assert outcome.message.startswith("Corrections is for a job of a task listener, but this is an ordinary job")
    outcome = core.outcome(core.give(type_index=1, **LISTENER))
    assert outcome.message is not None
    assert "ValueError: Corrections: priority is 1000" in outcome.message


def test_execution_listener_completes_with_variables(worker: StartWorker) -> None:
    core = worker("""
        from jobfleet import Job, handler

        @handler("listen")
        def listen(job: Job) -> dict:
            return {"event": f"{job.kind} {job.listener_event_type}"}
    """).core
    outcome = core.outcome(core.give(kind="EXECUTION_LISTENER", listenerEventType="START"))
    assert (outcome.variables, outcome.result) == ({"event": "EXECUTION_LISTENER START"}, None)


def test_user_task_of_an_unknown_shape_costs_no_job(worker: StartWorker) -> None:
    core = worker("""
        from jobfleet import Job, handler

        @handler("listen")
        def listen(job: Job) -> dict:
            return {"task": repr(job.user_task), "kind": job.kind}
    """).core
    odd: dict[str, Any] = {"kind": "KIND_OF_2030", "userTask": ["a", "list"]}
    outcome = core.outcome(core.give(**odd))
    assert outcome.variables == {"task": "None", "kind": "KIND_OF_2030"}


def test_completion_names_the_process_instance(worker: StartWorker) -> None:
    core = worker("""
        from jobfleet import Completion, Job, handler

        @handler("name")
        def name(job: Job):
            return Completion({"a": 1}, business_id=job.variables["id"])
    """).core
    outcome = core.outcome(core.give(variables={"id": "order-7"}))
    assert (outcome.variables, outcome.result, outcome.business_id) == ({"a": 1}, None, "order-7")
    outcome = core.outcome(core.give(variables={"id": ""}))
    assert outcome.message is not None
    assert "business_id is ''; give" in outcome.message
