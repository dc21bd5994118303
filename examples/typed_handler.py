"""A typed handler: variables are decoded into a Struct, and only those that it declares are fetched."""

import msgspec
from jobfleet import Job, JobError, handler


class Payment(msgspec.Struct, rename="camel"):
    """`orderId`, `amount` and `currency` in the process; what does not fit fails the job with the path."""

    order_id: str
    amount: float
    currency: str = "EUR"


class Receipt(msgspec.Struct, rename="camel"):
    """Results may be Structs too, or dataclasses, pydantic models and dicts."""

    order_id: str
    charged: bool


@handler("charge-card", lease="10s")
def charge_card(job: Job[Payment]) -> Receipt:
    """`job.variables` is a Payment, to readers, editors and type checkers alike."""
    payment = job.variables
    if payment.amount > 10_000:
        raise JobError("AMOUNT_TOO_HIGH", "needs approval", {"limit": 10_000})
    return Receipt(order_id=payment.order_id, charged=True)
