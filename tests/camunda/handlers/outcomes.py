"""Both tasks of two_tasks.bpmn: the first one ends as its variable `does` says."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from jobfleet import Completion, Denial, Job, JobError, JobFailure, handler

PROCESS = os.environ["TEST_PROCESS"]
DIRECTORY = Path(os.environ["TEST_DIR"])


class Camel(msgspec.Struct, rename="camel"):
    """Sent as `fromStruct`."""

    from_struct: int


@dataclass
class Plain:
    """Sent as it is."""

    from_dataclass: str


@handler(f"{PROCESS}-work", lease="4s", hold="500ms")
async def work(job: Job[dict[str, Any]]) -> object:
    variables = job.variables
    match variables["does"]:
        case "fail":
            if "hint" not in variables:
                found = {"hint": job.retries, "at": time.monotonic()}
                raise JobFailure("again", retries=7, backoff="1s", variables=found)
            return {"hint": variables["hint"], "retries": job.retries, "waited": time.monotonic() - variables["at"]}
        case "kinds":
            return Camel(7)
        case "echo":
            return {"echo": variables["sent"], "long": "ü" * 500_000}
        case "too much":
            return {"long": "x" * 3_000_000}
        case "throw":
            raise JobError("NOBODY_CATCHES", "it", {"why": 1})
        case "deny":
            return Denial("not a task listener")
    (DIRECTORY / "started").touch()
    try:
        # Nothing announces a file.
        while not (DIRECTORY / "open").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        (DIRECTORY / "cancelled").touch()
        raise
    return {"done": True}


@handler(f"{PROCESS}-after")
def after(job: Job[dict[str, Any]]) -> object:
    if job.variables["does"] == "kinds":
        return Plain("é")
    return Completion({"length": len(job.variables.get("long", ""))})
