"""What a worker does, told from outside."""

from __future__ import annotations

import os

import pytest
from jobfleet.supervisor.liveness import Liveness, judge, why
from jobfleet.supervisor.messages import OverLimit, Suspicion
from jobfleet.supervisor.procstat import read_stat

OVER = [OverLimit("slow", "7", 1000, 2500)]


def suspicion(slots: int = 4, starved: bool = False, over: bool = False) -> Suspicion:
    return Suspicion(worker=1, quiet_ms=3000, running=1, slots=slots, starved=starved, over=OVER if over else [])


@pytest.mark.parametrize("state", ["T", "t"])
def test_stopped_process_is_stopped_whatever_else_it_is(state: str) -> None:
    assert judge(suspicion(starved=True, over=True), state, 0.0) is Liveness.STOPPED


def test_first_look_says_nothing() -> None:
    assert judge(suspicion(starved=True, over=True), "R", None) is Liveness.BUSY


def test_job_over_its_limit_hangs_only_without_processor_time() -> None:
    assert judge(suspicion(1, over=True), "S", 0.0) is Liveness.HUNG
    assert judge(suspicion(1, over=True), "R", 0.9) is Liveness.BUSY


def test_process_that_computes_while_jobs_wait_for_its_free_slots_is_stalled() -> None:
    assert judge(suspicion(starved=True), "R", 1.0) is Liveness.GIL_STALLED
    assert judge(suspicion(starved=True), "S", 0.0) is Liveness.HUNG
    assert judge(suspicion(starved=False), "R", 1.0) is Liveness.BUSY


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_single_slot_is_never_called_stalled(share: float) -> None:
    assert judge(suspicion(1, starved=True), "R", share) is Liveness.BUSY


def test_each_judgement_is_a_sentence() -> None:
    assert "SIGCONT" in why(suspicion(), Liveness.STOPPED, "T")
    assert "debugger" in why(suspicion(), Liveness.STOPPED, "t")
    assert "job 7 (slow) runs for 2.5 s, its time limit is 1 s" in why(suspicion(over=True), Liveness.HUNG, "S")
    assert "for 3 s" in why(suspicion(), Liveness.GIL_STALLED, "R")


def test_state_and_processor_time_are_read_of_a_living_process_and_nothing_of_a_dead_one() -> None:
    stat = read_stat(os.getpid())
    assert stat is not None
    assert stat.state == "R"
    assert stat.cpu_s >= 0
    assert read_stat(2**22 + 1) is None
