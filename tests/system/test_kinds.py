"""Listeners, ad-hoc sub-processes and tenants from end to end: what a handler returns is what the engine gets."""

from __future__ import annotations

from .conftest import StartFleet
from .engine import Engine

HANDLERS = """
    from jobfleet import Activate, AdHocResult, Completion, Corrections, Denial, Job, JobError, handler

    @handler("assigning")
    def assigning(job: Job):
        if job.user_task.assignee == "mallory":
            return Denial("mallory may not")
        return Corrections(candidate_groups=[], priority=job.user_task.priority + 1)

    @handler("next-step")
    async def next_step(job: Job):
        if "done" in job.variables:
            return AdHocResult(fulfilled=True)
        return Completion({"round": 1}, AdHocResult([Activate("book", {"seat": 7})]))

    @handler("ordinary")
    def ordinary(job: Job):
        return Denial("there is nothing to deny")

    @handler("by-tenant", tenants=["red", "<default>"], hold="100ms", max_jobs=2)
    def by_tenant(job: Job) -> dict:
        return {"tenant": job.tenant_id}
"""


def test_results_of_every_kind_arrive_at_the_engine(run_fleet: StartFleet, engine: Engine) -> None:
    def listener(assignee: str) -> str:
        task = {"action": "assign", "assignee": assignee, "priority": 50, "userTaskKey": "7"}
        return engine.make("assigning", kind="TASK_LISTENER", listener_event_type="ASSIGNING", user_task=task)

    fleet = run_fleet(HANDLERS, "--processes", "1").wait_running()
    corrected, denied = listener("ada"), listener("mallory")
    going = engine.make("next-step", kind="AD_HOC_SUB_PROCESS")
    done = engine.make("next-step", kind="AD_HOC_SUB_PROCESS", variables={"done": True})
    wrong = engine.make("ordinary")
    engine.wait_settled()
    assert engine.job(corrected)["result"] == {
        "type": "userTask",
        "corrections": {"candidateGroups": [], "priority": 51},
    }
    assert engine.job(denied)["result"] == {"type": "userTask", "denied": True, "deniedReason": "mallory may not"}
    assert engine.job(going)["variables"] == {"round": 1}
    assert engine.job(going)["result"]["activateElements"] == [{"elementId": "book", "variables": {"seat": 7}}]
    assert engine.job(done)["result"]["isCompletionConditionFulfilled"] is True
    refused = engine.job(wrong)
    assert (refused["state"], refused["retries"]) == ("incident", 0)
    assert refused["message"].startswith("Denial is for a job of a task listener, but this is an ordinary job")
    assert fleet.stop() == 0


def test_jobs_of_the_handlers_tenants_come_and_no_others(run_fleet: StartFleet, engine: Engine) -> None:
    engine.set(multi_tenancy=True)
    run_fleet(HANDLERS, "--processes", "1").wait_running()
    blue, red, default = (engine.make("by-tenant", tenant_id=tenant) for tenant in ("blue", "red", "<default>"))
    assert engine.wait_job(red, "completed")["variables"] == {"tenant": "red"}
    assert engine.wait_job(default, "completed")["variables"] == {"tenant": "<default>"}
    assert engine.job(blue)["state"] == "waiting"


def test_status_says_what_is_wrong_with_the_polls_of_a_type(run_fleet: StartFleet, engine: Engine) -> None:
    engine.set(multi_tenancy=True)
    fleet = run_fleet(HANDLERS, "--processes", "1").wait_running()

    def failing(status: dict[str, list[dict[str, str]]]) -> bool:
        return any("no tenant identifier" in (kind["poll_error"] or "") for kind in status["types"])

    fleet.wait_status(failing, "the polls of a type fail")
    told = fleet.wait_for(lambda record: "refuses the polls of a type" in record["message"])
    assert told["type"] in ("assigning", "next-step", "ordinary")
    assert fleet.readiness()[0] == 200
    shown = fleet.jobfleet("status", "--socket", str(fleet.socket)).stdout
    assert "type ordinary: latest poll: HTTP 400 INVALID_ARGUMENT" in " ".join(shown.split())
    assert "type by-tenant" not in shown
