"""A sync handler: one job at a time in the main thread of each worker process."""

from typing import Any

from jobfleet import Job, JobError, handler


@handler("reserve-stock", lease="10s")
def reserve_stock(job: Job) -> dict[str, Any]:
    """Variables are a plain dict; what is returned becomes variables of the process."""
    wanted = job.variables.get("quantity", 1)
    if wanted > 1_000:
        # Caught by an error event in the model.
        raise JobError("OUT_OF_STOCK", f"{wanted} pieces are not in stock", {"available": 1_000})
    job.log.info("reserved", quantity=wanted)
    return {"reserved": wanted}
