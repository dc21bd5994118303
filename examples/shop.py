"""Handlers of a small shop: one for each way in which jobfleet can run them.

jobfleet run examples/shop.py
"""

import asyncio
import time

import msgspec
from jobfleet import Job, JobError, handler


class Payment(msgspec.Struct, rename="camel"):
    """The variables that `charge-card` fetches; anything else of the process stays in the engine."""

    order_id: str
    amount: float


class Parcel(msgspec.Struct, rename="camel"):
    """The variables that `reserve-stock` fetches."""

    order_id: str
    items: int = 1


@handler("charge-card", lease="5s")
def charge_card(job: Job[Payment]) -> dict[str, object]:
    """Typed, and alone in its process's main thread: the right place for code that computes."""
    payment = job.variables
    if payment.amount > 10_000:
        raise JobError("AMOUNT_TOO_HIGH", f"{payment.amount} needs approval", {"orderId": payment.order_id})
    return {"charged": True, "fee": round(payment.amount * 0.014, 2)}


@handler("reserve-stock", slots=8, lease="5s")
def reserve_stock(job: Job[Parcel]) -> dict[str, object]:
    """In eight threads: for libraries that block."""
    time.sleep(0.02)
    return {"reserved": job.variables.items}


@handler("send-mail", lease="5s")
async def send_mail(job: Job) -> None:
    """On the asyncio loop: for what waits much and computes little."""
    await asyncio.sleep(0.01)


@handler("print-label", lease="5s")
def print_label(job: Job) -> dict[str, object]:
    """Untyped: all variables as a dict. Some addresses cannot be printed, which is a failure with retries."""
    address = job.variables.get("address")
    if not address:
        raise ValueError(f"order {job.variables.get('orderId')} has no address")
    return {"label": address.upper()}
