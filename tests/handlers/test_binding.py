"""From a signature to decoded variables and the names to fetch."""

import json
from typing import Any

import pytest
from jobfleet import Job
from jobfleet.handlers.decode import BadVariables, decode_again
from jobfleet.handlers.load import Loaded

from .conftest import Load

HEAD = """
from __future__ import annotations
import dataclasses
import datetime
from typing import Annotated, Any, Generic, Optional, TypedDict, Union
import msgspec
from jobfleet import Job, handler

class Item(msgspec.Struct):
    sku: str

class Payment(msgspec.Struct, rename="camel"):
    order_id: str
    amount: float
    items: list[Item] = []
    due: datetime.date | None = None

@dataclasses.dataclass
class Plain:
    order_id: str
    amount: float = 1.0

class Typed(TypedDict, total=False):
    order_id: str

class Cat(msgspec.Struct, tag_field="kind", tag="cat"):
    lives: int

class Dog(msgspec.Struct, tag_field="kind", tag="dog"):
    tricks: list[str]
"""


def bound(loaded: Load, declared: str, options: str = "") -> Loaded:
    return loaded(f"{HEAD}\n@handler('work'{options})\ndef work(job{declared}): ...\n")


def decoded(result: Loaded, variables: Any) -> Any:
    return result.bindings[0].decode(json.dumps({"variables": variables}).encode()).variables


@pytest.mark.parametrize(
    ("declared", "fetch"),
    [
        ("", None),
        (": Job", None),
        (": Job[dict]", None),
        (": Job[Any]", None),
        (": Job[dict[str, int]]", None),
        (": Job[Payment]", ["orderId", "amount", "items", "due"]),
        (": Job[Plain]", ["order_id", "amount"]),
        (": Job[Typed]", ["order_id"]),
        (": Job[Annotated[Payment, 'note']]", ["orderId", "amount", "items", "due"]),
        (": Job[Cat | Dog]", ["kind", "lives", "tricks"]),
        (": 'Job[Payment]'", ["orderId", "amount", "items", "due"]),
    ],
)
def test_typed_handler_fetches_what_it_declares(loaded: Load, declared: str, fetch: list[str] | None) -> None:
    assert bound(loaded, declared).handlers[0].fetch == fetch


def test_explicit_fetch_wins(loaded: Load) -> None:
    assert bound(loaded, ": Job[Payment]", ", fetch='all'").handlers[0].fetch is None
    assert bound(loaded, ": Job[Payment]", ", fetch=['orderId', 'amount', 'x']").handlers[0].fetch == [
        "orderId",
        "amount",
        "x",
    ]


def test_struct_is_decoded_with_its_renames(loaded: Load) -> None:
    variables = decoded(
        bound(loaded, ": Job[Payment]"),
        {"orderId": "a", "amount": 2, "items": [{"sku": "s"}], "due": "2024-02-29", "unknown": 1},
    )
    assert (variables.order_id, variables.amount, variables.items[0].sku) == ("a", 2.0, "s")
    assert variables.due.day == 29


def test_dataclass_typed_dict_and_tagged_union_are_decoded(loaded: Load) -> None:
    assert decoded(bound(loaded, ": Job[Plain]"), {"order_id": "a"}).amount == 1.0
    assert decoded(bound(loaded, ": Job[Typed]"), {"order_id": "a"}) == {"order_id": "a"}
    assert decoded(bound(loaded, ": Job[Cat | Dog]"), {"kind": "dog", "tricks": ["sit"]}).tricks == ["sit"]


def test_untyped_variables_keep_large_numbers(loaded: Load) -> None:
    variables = {"big": 2**70, "negative": -(2**63), "float": 1e300, "null": None, "text": "\u0000é"}
    assert decoded(bound(loaded, ""), variables) == variables


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"orderId": 1, "amount": 1}, "Expected `str`, got `int` at variables.orderId"),
        ({"orderId": "a"}, "missing required field `amount` at variables"),
        (
            {"orderId": "a", "amount": 1, "items": [{"sku": "x"}, {}]},
            "missing required field `sku` at variables.items[1]",
        ),
        ({"orderId": "a", "amount": "1"}, "Expected `float`, got `str` at variables.amount"),
        ([], "Expected `object`, got `array` at variables"),
    ],
)
def test_misfit_is_told_with_its_path(loaded: Load, variables: Any, words: str) -> None:
    assert words in misfit(bound(loaded, ": Job[Payment]"), variables)


def misfit(result: Loaded, variables: Any) -> str:
    raw = json.dumps({"variables": variables, "key": 1}).encode()
    binding = result.bindings[0]
    with pytest.raises(Exception) as first:  # noqa: PT011 - whatever it is, the second look explains it
        binding.decode(raw)
    with pytest.raises(BadVariables) as caught:
        decode_again(binding.decode, binding.declared, raw, first.value)
    return str(caught.value)


PYDANTIC = """
from typing import Optional
import msgspec
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field
from pydantic.dataclasses import dataclass
from jobfleet import Job, handler

class Order(BaseModel):
    order_id: str = Field(alias="orderId")
    amount: float = Field(gt=0)
    note: Optional[str] = Field(None, validation_alias=AliasChoices("note", AliasPath("extra", "note")))

class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int

class Named(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    a_b: int = Field(alias="aB")

@dataclass
class Data:
    a: int = Field(ge=1)

class Outer(msgspec.Struct):
    order: Order
"""


def pydantic(loaded: Load, declared: str) -> Loaded:
    pytest.importorskip("pydantic")
    return loaded(f"{PYDANTIC}\n@handler('work')\ndef work(job: Job[{declared}]): ...\n")


def test_pydantic_models_are_validated_from_json(loaded: Load) -> None:
    result = pydantic(loaded, "Order")
    assert result.handlers[0].fetch == ["orderId", "amount", "note", "extra"]
    assert decoded(result, {"orderId": "a", "amount": 2}).amount == 2.0
    assert decoded(pydantic(loaded, "Data"), {"a": 3}).a == 3
    assert decoded(pydantic(loaded, "Outer"), {"order": {"orderId": "a", "amount": 2}}).order.order_id == "a"


def test_pydantic_models_that_take_more_fetch_more(loaded: Load) -> None:
    assert pydantic(loaded, "Loose").handlers[0].fetch is None
    assert pydantic(loaded, "Named").handlers[0].fetch == ["aB", "a_b"]


def test_pydantic_misfit_is_told_with_its_path(loaded: Load) -> None:
    assert misfit(pydantic(loaded, "Order"), {"orderId": "a", "amount": -1}) == (
        "variables do not fit Order: Input should be greater than 0 at variables.amount"
    )
    assert "at variables.orderId (and 1 more)" in misfit(pydantic(loaded, "Order"), {})
    assert "variables.order" in misfit(pydantic(loaded, "Outer"), {"order": {}})


def test_callable_objects_and_wrapped_functions_are_handlers(loaded: Load) -> None:
    result = loaded(f"""{HEAD}
import functools

class Charger:
    async def __call__(self, job: Job[Payment]): ...

handler("object")(Charger())

def twice(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper

@handler("wrapped")
@twice
def wrapped(job: Job[Plain]): ...

handler("partial")(functools.partial(lambda job, rate: None, rate=2))
""")
    assert [(spec.type, spec.strategy, spec.fetch is not None) for spec in result.handlers] == [
        ("object", "loop", True),
        ("wrapped", "main", True),
        ("partial", "main", False),
    ]


def test_job_reads_every_field_and_tolerates_what_is_missing() -> None:
    job: Job[dict[str, Any]] = Job(variables={})
    assert (job.key, job.process_instance_key, job.root_process_instance_key) == ("", "", None)
    assert (job.kind, job.tags, job.headers, job.cancelled) == ("BPMN_ELEMENT", (), {}, False)
    assert repr(job) == "Job('', key='')"


def test_engine_cannot_fill_the_private_fields_of_a_job(loaded: Load) -> None:
    binding = bound(loaded, "").bindings[0]
    raw = b'{"variables": {}, "key": 5, "jobfleet:context": {"a": 1}, "jobfleet:number": 7}'
    with pytest.raises(Exception, match="jobfleet:") as first:
        binding.decode(raw)
    job = decode_again(binding.decode, binding.declared, raw, first.value)
    assert (job.key, job._context, job._number) == ("5", None, None)


def test_log_outside_of_a_worker_goes_to_a_logger(caplog: pytest.LogCaptureFixture) -> None:
    job: Job[dict[str, Any]] = Job(variables={})
    with caplog.at_level("INFO", logger="jobfleet.job"):
        job.log.info("charged", order=17)
    assert caplog.messages == ["charged {'order': 17}"]
