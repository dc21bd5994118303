"""A threaded handler: eight jobs at a time in each worker process, for libraries that block.

jobfleet run examples/threaded_handler.py
"""

import time

import msgspec
from jobfleet import Backoff, Job, handler


class Parcel(msgspec.Struct, rename="camel"):
    """The variables that `reserve-stock` fetches."""

    order_id: str
    items: int = 1


class WarehouseBusy(Exception):
    """The warehouse asks for patience."""


@handler("reserve-stock", slots=8, lease="5s", backoff={WarehouseBusy: Backoff(first="5s", maximum="1m")})
def reserve_stock(job: Job[Parcel]) -> dict[str, object]:
    """The pause after a failure depends on the exception; all others take the default."""
    if job.variables.items > 100:
        raise WarehouseBusy(f"order {job.variables.order_id} needs the large hall")
    time.sleep(0.02)
    return {"reserved": job.variables.items}
