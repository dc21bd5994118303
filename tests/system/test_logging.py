"""What handlers write, as the log of the fleet shows it."""

from __future__ import annotations

import re

import pytest

from .conftest import StartFleet
from .engine import Engine

HANDLERS = """
    import os, subprocess
    from jobfleet import Job, handler

    def write(job: Job) -> None:
        job.log.warning("charged", order=17, items=[{"name": "pen"}])
        print("printed\\nin two lines")
        os.write(1, b"by descriptor\\n")
        subprocess.run(["echo", "by a program"])

    @handler("writes")
    def writes(job: Job) -> dict:
        write(job)
        return {"pid": os.getpid()}

    @handler("writes-async")
    async def writes_async(job: Job) -> dict:
        write(job)
        return {"pid": os.getpid()}
"""


@pytest.mark.parametrize("job_type", ["writes", "writes-async"])
def test_each_line_is_told_with_pool_and_process_and_where_it_is_known_with_its_job(
    run_fleet: StartFleet, engine: Engine, job_type: str
) -> None:
    fleet = run_fleet(HANDLERS, "--processes", "1").wait_running()
    (key,) = engine.push(job_type)
    source = f"default/{engine.wait_job(key, 'completed')['variables']['pid']}"
    charged = fleet.wait_for_line("charged")
    assert charged.pop("ts")
    assert charged == {
        **{"level": "warning", "source": source, "message": "charged", "type": job_type, "key": key},
        **{"order": 17, "items": [{"name": "pen"}]},
    }
    for line in ("printed", "in two lines"):
        record = fleet.wait_for(lambda record, line=line: record["message"] == line)
        assert (record["source"], record["key"], record["stream"]) == (source, key, "stdout")
    for line in ("by descriptor", "by a program"):
        record = fleet.wait_for(lambda record, line=line: record["message"] == line)
        assert (record["source"], "key" in record) == (source, False)
    assert fleet.stop() == 0


def test_text_has_the_same_on_one_line(run_fleet: StartFleet, engine: Engine) -> None:
    fleet = run_fleet(HANDLERS, "--processes", "1", "--log-format", "text").wait_running()
    (key,) = engine.push("writes")
    pid = engine.wait_job(key, "completed")["variables"]["pid"]
    line = str(fleet.wait_for_line("charged")["message"])
    said = rf' warning default/{pid}  charged order=17 items=\[{{"name":"pen"}}\] type=writes key={key}'
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z" + said, line), line
    assert f" info    default/{pid}  by descriptor" in str(fleet.wait_for_line("by descriptor")["message"])
    assert fleet.stop() == 0
