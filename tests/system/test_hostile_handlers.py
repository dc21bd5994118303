"""Handlers that do what no handler should: survived, or their worker is replaced, and no job is lost."""

from __future__ import annotations

import pytest

from .fleet import Fleet

OPTIONS = ("--processes", "6", "--grace", "5s")

HANDLERS = r'''
    import ctypes
    import os
    import signal
    import socket
    import struct
    import sys
    import threading
    import time
    from pathlib import Path

    from jobfleet import Job, handler


    def first_try(job) -> bool:
        """Whether this job runs for the first time, in whichever process."""
        try:
            Path(f"tried-{job.key}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


    def link_descriptors():
        for entry in os.listdir("/proc/self/fd"):
            try:
                with socket.socket(fileno=os.dup(int(entry))) as found:
                    if found.family == socket.AF_UNIX and found.type == socket.SOCK_STREAM:
                        yield int(entry)
            except OSError:
                continue


    def frame(kind, payload=b""):
        return struct.pack("<IB", 1 + len(payload), kind) + payload


    RUBBISH = {
        "noise": b"\xff" * 4096,
        "zeros": bytes(64),
        "kind": frame(250, b"x" * 100),
        "outcome": frame(18, b"\0\0"),
        "log": frame(19, b"\1"),
        "failed start": frame(17, b"\xff\xfe"),
        "late failed start": frame(17, b"no"),
        "job": frame(1, bytes(100)),
    }


    @handler("dies")
    def dies(job: Job) -> dict:
        if not first_try(job):
            return {"pid": os.getpid(), "retries": job.retries}
        how = job.variables["how"]
        if how == "os-exit":
            os._exit(5)
        if how == "os-exit-0":
            os._exit(0)
        if how == "segfault":
            ctypes.string_at(0)
        if how == "abort":
            os.abort()
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "default-term":
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        if how == "closes":
            os.closerange(3, 4096)
            return {}
        for descriptor in link_descriptors():
            os.write(descriptor, RUBBISH[how])
        time.sleep(600)
        return {}


    @handler("lies")
    def lies(job: Job) -> dict:
        """Frames that are well-formed and make no sense."""
        head = struct.pack("<HHQQ", 65535, 65535, 2**64 - 1, 2**64 - 1)
        complete = head + b"\0\0\0\0"
        lies = [
            frame(18, complete),
            frame(18, struct.pack("<HHQQ", 0, 0, 2**64 - 1, 2**64 - 1) + b"\0\0\0\0"),
            frame(19, struct.pack("<BHQ", 255, 65535, 2**64 - 1) + b"no JSON"),
            frame(19, struct.pack("<BHQ", 0, 0, 0) + b"[1, 2]"),
            frame(19, struct.pack("<BHQ", 255, 0, 1) + b'{"message": 7, "source": {}, "level": null}'),
            frame(20, struct.pack("<Q", 2**64 - 1)),
            frame(20, struct.pack("<Q", 2**64 - 1)),
            frame(16),
            frame(16),
        ]
        for descriptor in link_descriptors():
            os.write(descriptor, b"".join(lies))
        return {"pid": os.getpid()}


    @handler("interrupts", lease="4s")
    def interrupts(job: Job) -> dict:
        """The beginning of a frame, which swallows the job's outcome."""
        if first_try(job):
            for descriptor in link_descriptors():
                os.write(descriptor, struct.pack("<IB", 60 << 20, 18))
        return {"retries": job.retries}


    @handler("noop")
    def noop(job: Job) -> dict:
        return {"pid": os.getpid()}
'''


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("os-exit", "exited with status 5"),
        ("os-exit-0", "exited with status 0"),
        ("segfault", "killed by signal 11 (SIGSEGV)"),
        ("abort", "killed by signal 6 (SIGABRT)"),
        ("kill", "killed by signal 9 (SIGKILL)"),
        ("default-term", "killed by signal 15 (SIGTERM)"),
        ("closes", "exited with status 0"),
    ],
)
def test_job_of_a_worker_that_its_handler_ends_is_handed_back_and_done_by_another(
    shared: Fleet, how: str, said: str
) -> None:
    (key,) = shared.engine.push("dies", how=how)
    job = shared.engine.wait_job(key, "completed")
    buried = shared.wait_for(lambda record: key in (record.get("keys") or []))
    assert said in buried["message"]
    assert "1 handed back" in buried["message"]
    assert (job["activations"], job["retries"]) == (2, 3)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("noise", "a link frame of 4294967295 bytes is over the limit"),
        ("zeros", "a link frame has no kind"),
        ("kind", "a link frame has the unknown kind 250"),
        ("outcome", "a link frame of kind 18 is malformed"),
        ("log", "a link frame of kind 19 is malformed"),
        ("failed start", "a link frame of kind 17 is malformed"),
        ("late failed start", "comes out of turn: a failed start, after the worker was ready"),
        ("job", "a link frame has the unknown kind 1"),
    ],
)
def test_worker_that_writes_rubbish_to_its_link_is_killed_and_replaced(shared: Fleet, how: str, said: str) -> None:
    since = shared.log_length
    (key,) = shared.engine.push("dies", how=how)
    job = shared.engine.wait_job(key, "completed")
    assert said in shared.wait_for_line("is killed", since)["message"]
    assert "killed by signal 9" in shared.wait_for(lambda record: key in (record.get("keys") or []))["message"]
    assert (job["activations"], job["retries"]) == (2, 3)


def test_frames_that_make_no_sense_are_survived(shared: Fleet) -> None:
    (key,) = shared.engine.push("lies")
    shared.engine.wait_job(key, "completed")
    keys = shared.engine.push("noop", 100)
    for key in keys:
        shared.engine.wait_job(key, "completed")


def test_job_whose_outcome_never_arrives_is_handed_back_and_its_worker_killed(shared: Fleet) -> None:
    (key,) = shared.engine.push("interrupts")
    job = shared.engine.wait_job(key, "completed")
    assert job["variables"] == {"retries": 3}
    assert job["activations"] == 2
    shared.wait_for_line("is killed: it has not sent its outcome of a job whose handler returned")
