"""A sync handler: one job at a time in the main thread of each worker process, the right place for code that computes.

jobfleet run examples/sync_handler.py
"""

from jobfleet import Job, JobFailure, handler


@handler("print-label", lease="5s")
def print_label(job: Job) -> dict[str, object]:
    """Variables are a dict; the dict that is returned becomes variables of the process.

    Raise anything to fail the job: one retry less, and a pause that grows with each try.
    """
    address = job.variables.get("address")
    if address is None:
        raise ValueError(f"order {job.variables.get('orderId')} has no address")
    if address == "nowhere":
        # Failed exactly so: no retry heals it, an operator has to look.
        raise JobFailure("the carrier does not go there", retries=0)
    job.log.debug("printed", address=address)
    return {"label": address.upper()}
