"""A threaded handler: blocking work, four jobs at a time in each worker process."""

import time

from jobfleet import Backoff, Job, JobFailure, handler


class WarehouseBusy(Exception):
    """The warehouse asks for patience."""


@handler(
    "print-label",
    slots=4,
    lease="10s",
    backoff={WarehouseBusy: Backoff(first="5s", maximum="1m"), Exception: Backoff(tries=2)},
)
def print_label(job: Job) -> dict[str, str]:
    """Raise anything to fail a job: one retry less, and a pause that grows with each try."""
    address = job.variables.get("address", "")
    if address == "unknown":
        # Failed exactly so: no retry heals it, an operator has to look.
        raise JobFailure("the address is unknown", retries=0)
    if address == "busy":
        raise WarehouseBusy("all printers are in use")
    time.sleep(0.002)
    return {"label": f"{job.key}.pdf"}
