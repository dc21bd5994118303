"""Variables and results that do not fit: the job fails with the place, and its worker goes on."""

from __future__ import annotations

import pytest

from .fleet import Fleet

OPTIONS = ("--processes", "1", "--grace", "5s")

HANDLERS = r"""
    import os
    import msgspec
    from jobfleet import Job, handler


    class Item(msgspec.Struct):
        name: str
        price: float


    class Order(msgspec.Struct, rename="camel"):
        order_id: str
        items: list[Item]


    class Own:
        pass


    RESULTS = {
        "object": lambda: {"deep": [{"x": Own()}]},
        "nan": lambda: {"rate": float("nan")},
        "infinity": lambda: {"a": [1.0, float("-inf")]},
        "surrogate": lambda: {"name": "\ud800"},
        "cycle": lambda: (lambda d: d.setdefault("self", d))({}),
        "list": lambda: [1, 2],
        "text": lambda: "done",
        "key": lambda: {(1, 2): "x"},
        "coroutine": lambda: wait(),
    }


    async def wait(): ...


    @handler("typed")
    def typed(job: Job[Order]) -> dict:
        return {"pid": os.getpid()}


    @handler("returns")
    def returns(job: Job) -> object:
        return RESULTS[job.variables["what"]]()


    @handler("returns-async")
    async def returns_async(job: Job) -> object:
        return RESULTS[job.variables["what"]]()


    @handler("echo")
    def echo(job: Job) -> dict:
        return {"length": len(job.variables["text"]), "text": "y" * job.variables.get("answer", 0)}
"""


def pid_of(shared: Fleet) -> int:
    """The worker, which has to be alive and well."""
    (key,) = shared.engine.push("typed", orderId="A-1", items=[])
    return int(shared.engine.wait_job(key, "completed")["variables"]["pid"])


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"orderId": 7, "items": []}, "Expected `str`, got `int` at variables.orderId"),
        (
            {"orderId": "A", "items": [{"name": "x", "price": "1"}]},
            "Expected `float`, got `str` at variables.items[0].price",
        ),
        ({"items": []}, "missing required field `orderId` at variables"),
        ({"orderId": "A", "items": None}, "Expected `array`, got `null` at variables.items"),
    ],
)
def test_variables_that_do_not_fit_fail_the_job_with_their_path(shared: Fleet, variables: dict, said: str) -> None:
    before = pid_of(shared)
    (key,) = shared.engine.push("typed", **variables)
    job = shared.engine.wait_job(key, "incident")
    assert job["message"] == f"variables do not fit Order: {job['message'].partition(': ')[2]}"
    assert said in job["message"]
    assert (job["retries"], job["activations"]) == (0, 1)
    assert pid_of(shared) == before


@pytest.mark.parametrize("job_type", ["returns", "returns-async"])
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("object", "result.deep[0].x is"),
        ("nan", "result.rate is nan, which JSON cannot hold"),
        ("infinity", "result.a[1] is -inf"),
        ("surrogate", "result.name is"),
        ("cycle", "contains itself, or is nested too deeply"),
        ("list", "a JSON object is needed: a dict"),
        ("text", "a JSON object is needed: a dict"),
        ("key", "result has the key (1, 2)"),
        ("coroutine", "result is a coroutine"),
    ],
)
def test_result_that_cannot_be_encoded_fails_the_job_with_its_place(
    shared: Fleet, job_type: str, what: str, said: str
) -> None:
    if job_type == "returns-async" and what == "coroutine":
        pytest.skip("the loop awaits a coroutine")
    before = pid_of(shared)
    (key,) = shared.engine.push(job_type, what=what)
    job = shared.engine.wait_job(key, "incident")
    assert said in job["message"]
    assert (job["retries"], job["activations"]) == (0, 1)
    assert pid_of(shared) == before


def test_job_of_4_mb_is_done(shared: Fleet) -> None:
    (key,) = shared.engine.push("echo", text="x" * 4_000_000)
    assert shared.engine.wait_job(key, "completed")["variables"]["length"] == 4_000_000


def test_result_that_no_frame_holds_fails_the_job(shared: Fleet) -> None:
    before = pid_of(shared)
    (key,) = shared.engine.push("echo", text="", answer=65 << 20)
    job = shared.engine.wait_job(key, "incident")
    assert "cannot be sent" in job["message"]
    assert pid_of(shared) == before
