from typing import Any

from jobfleet import Job, handler


@handler("noop", slots=4)
def noop(job: Job[dict[str, Any]]) -> None:
    pass
