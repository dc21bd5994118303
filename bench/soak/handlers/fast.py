"""Nothing to do: the rate is the fleet's own."""

from jobfleet import Job, handler


@handler("soak-noop", lease="10s")
def noop(job: Job) -> None:
    """Complete."""
