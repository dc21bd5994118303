"""A typed handler: variables are decoded into a Struct, and only those that it declares are fetched.

jobfleet run examples/typed_handler.py
"""

import msgspec
from jobfleet import Job, JobError, handler


class Payment(msgspec.Struct, rename="camel"):
    """`orderId` and `amount` in the process; a job whose variables do not fit fails with the path of the bad one."""

    order_id: str
    amount: float


class Receipt(msgspec.Struct, rename="camel"):
    """Results may be Structs too, or dataclasses, pydantic models and dicts."""

    charged: bool
    fee: float


@handler("charge-card", lease="5s")
def charge_card(job: Job[Payment]) -> Receipt:
    """A JobError is caught by an error event of the model."""
    payment = job.variables
    if payment.amount > 10_000:
        raise JobError("AMOUNT_TOO_HIGH", f"{payment.amount} needs approval", {"orderId": payment.order_id})
    return Receipt(charged=True, fee=round(payment.amount * 0.014, 2))
