from typing import Any

from jobfleet import Job, handler


@handler("noop")
def noop(job: Job[dict[str, Any]]) -> None:
    pass
