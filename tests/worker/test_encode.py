"""Results as JSON."""

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import types
import uuid
from typing import Any

import msgspec
import pytest
from jobfleet.worker.encode import NotEncodable, encode

NAN = float("nan")


class Camel(msgspec.Struct, rename="camel"):
    order_id: Any
    rate_now: float = 1.0


@dataclasses.dataclass
class Data:
    rate: float
    inner: Camel


class Colour(enum.Enum):
    RED = "red"


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, {}),
        ({"a": None}, {"a": None}),
        ({"text": "null"}, {"text": "null"}),
        (Camel("a"), {"orderId": "a", "rateNow": 1.0}),
        ({"inner": [Camel(2**80)]}, {"inner": [{"orderId": 2**80, "rateNow": 1.0}]}),
        (Data(1.0, Camel(1)), {"rate": 1.0, "inner": {"orderId": 1, "rateNow": 1.0}}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        ({1: "int key"}, {"1": "int key"}),
        ({"e": Colour.RED, "u": uuid.UUID(int=1)}, {"e": "red", "u": "00000000-0000-0000-0000-000000000001"}),
        ({"d": datetime.date(2024, 2, 29)}, {"d": "2024-02-29"}),
        ({"t": datetime.timedelta(days=1), "n": decimal.Decimal("1.10")}, {"t": "P1D", "n": "1.10"}),
        ({"s": {1}, "p": Point(1, 2), "b": b"x"}, {"s": [1], "p": [1, 2], "b": "eA=="}),
        ({"n": -(2**64), "m": 2**64}, {"n": -(2**64), "m": 2**64}),
    ],
)
def test_result_is_encoded(value: Any, expected: Any) -> None:
    assert json.loads(encode(value)) == expected


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, {"b": NAN}]}, "result.a[1].b is nan"),
        ({"a": float("-inf")}, "result.a is -inf"),
        (Camel("a", NAN), "result.rateNow is nan"),
        ({"x": Camel(NAN)}, "result.x.orderId is nan"),
        (Data(NAN, Camel(1)), "result.rate is nan"),
        ({"n": 2**70, "x": NAN}, "result.x is nan"),
        ({"a": {1.0, NAN}}, "result.a["),
        ({"a": object()}, "result.a is <object"),
        ({"a": {(1, 2): 3}}, "result.a has the key (1, 2)"),
        ({None: 1}, "result has the key None"),
        ({"a": [Camel(1), Camel(open)]}, "result.a[1].orderId is"),
        ({"text": "\ud800"}, "result.text is of type str"),
        ([{}], "result is [{}] (list)"),
        ("text", "result is of type str"),
        (5, "result is 5 (int)"),
        (True, "result is True (bool)"),
        (Colour.RED, "result is"),
        (object(), "result is <object"),
    ],
)
def test_result_that_cannot_be_sent_is_named_by_its_path(value: Any, path: str) -> None:
    with pytest.raises(NotEncodable) as caught:
        encode(value)
    assert str(caught.value).startswith(path)


def test_result_that_contains_itself_is_refused() -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    with pytest.raises(NotEncodable, match="contains itself"):
        encode(circle)


def test_deep_result_is_searched_without_recursion() -> None:
    deep: dict[str, Any] = {"bottom": NAN}
    for _ in range(240):
        deep = {"d": deep}
    with pytest.raises(NotEncodable, match="nan"):
        encode(deep)


def test_numpy_values_are_encoded_and_their_nan_is_found() -> None:
    numpy = pytest.importorskip("numpy")
    value = {"a": numpy.arange(3), "f": numpy.float32(1.5), "i": numpy.int64(2), "b": numpy.bool_(True)}
    assert json.loads(encode(value)) == {"a": [0, 1, 2], "f": 1.5, "i": 2, "b": True}
    assert json.loads(encode(Camel(numpy.arange(2)))) == {"orderId": [0, 1], "rateNow": 1.0}
    for bad in ({"x": numpy.array([[1.0, NAN]])}, Camel(numpy.array([[1.0, NAN]])), {"x": [[1.0, numpy.float64(NAN)]]}):
        with pytest.raises(NotEncodable, match=r"\[0\]\[1\] is nan"):
            encode(bad)


def test_pydantic_models_are_encoded_by_alias() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", order_id=(Any, pydantic.Field(alias="orderId")))
    assert json.loads(encode(model(orderId=1))) == {"orderId": 1}
    assert json.loads(encode({"inner": model(orderId=1)})) == {"inner": {"orderId": 1}}
    for bad in (model(orderId=NAN), {"inner": model(orderId=NAN)}, model(orderId=object())):
        with pytest.raises(NotEncodable):
            encode(bad)
