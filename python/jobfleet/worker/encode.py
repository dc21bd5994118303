"""Encodes what handlers return into the JSON object that the engine gets."""

import inspect
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import orjson

from jobfleet.handlers.fields import is_pydantic

DEEPEST = 200
"""Levels that are searched for the value to blame; orjson itself stops at 254."""

_dumps = orjson.dumps
_NUMPY = orjson.OPT_SERIALIZE_NUMPY


class NotEncodable(Exception):
    """A result cannot be sent; `str()` names the value by its path."""


def encode(value: Any, name: str = "result") -> bytes:
    """`value` as a JSON object. Raises NotEncodable, which calls it `name`.

    orjson knows datetimes, UUIDs, dataclasses and numpy; msgspec knows Structs and integers beyond 64 bit.
    """
    if type(value) is dict:
        try:
            encoded = _dumps(value, _simpler, _NUMPY)
        except TypeError:
            encoded = _encode_otherwise(value, name)
    else:
        encoded = _encode_other(value, name)
    # Both encoders write null for NaN and the infinities without a word.
    if b"null" in encoded:
        refuse_non_finite(value, name)
    return encoded


def _encode_other(value: Any, name: str) -> bytes:
    if is_pydantic(type(value)) and hasattr(value, "model_dump_json"):
        try:
            encoded: bytes = value.model_dump_json(by_alias=True).encode()
        except Exception as wrong:
            raise NotEncodable(f"{name} cannot be written as JSON: {wrong}") from wrong
    elif is_dataclass(value) and not isinstance(value, type):
        try:
            encoded = _dumps(value, _simpler, _NUMPY)
        except TypeError:
            encoded = _encode_otherwise(value, name)
    else:
        encoded = _encode_otherwise(value, name)
    if not encoded.startswith(b"{"):
        raise NotEncodable(
            f"{name} is {_kind(value)}; a JSON object is needed: a dict, Struct, dataclass or pydantic model "
            "(a handler may also return a Completion or None)"
        )
    return encoded


def _encode_otherwise(value: Any, name: str) -> bytes:
    try:
        return msgspec.json.encode(value, enc_hook=_simpler)
    except Exception as wrong:
        raise NotEncodable(_blame(value, name)) from wrong


def _simpler(value: Any) -> Any:
    """A value that the encoder at hand does not know, in terms that it knows."""
    if isinstance(value, msgspec.Struct | tuple | set | frozenset | bytes | bytearray | Decimal | timedelta):
        return msgspec.to_builtins(value, enc_hook=_simpler)
    if isinstance(value, Mapping):
        return dict(value)
    if is_pydantic(type(value)) and hasattr(value, "model_dump"):
        return value.model_dump(by_alias=True)
    if type(value).__module__ == "numpy":
        return value.tolist()
    raise TypeError(f"{type(value).__qualname__} is unknown in JSON")


def refuse_non_finite(value: Any, name: str) -> None:
    """Raise NotEncodable for the first NaN or infinity inside of `value`, which is encodable."""
    waiting: list[tuple[str, Any]] = [(name, value)]
    while waiting:
        path, inner = waiting.pop()
        if type(inner).__module__ == "numpy" and hasattr(inner, "tolist"):
            inner = inner.tolist()
        if isinstance(inner, float) and not math.isfinite(inner):
            raise NotEncodable(f"{path} is {float(inner)!r}, which JSON cannot hold")
        if inner is None or isinstance(inner, str | int | float):
            continue
        waiting.extend(_children(path, inner))


def _blame(value: Any, name: str) -> str:
    """Which value inside of `value` cannot be encoded."""
    path, inner = name, value
    if inspect.iscoroutine(inner):
        inner.close()
        return f"{name} is a coroutine: declare the handler with async def, or with strategy='loop'"
    for _ in range(DEEPEST):
        if isinstance(inner, Mapping):
            for key in inner:
                if not isinstance(key, str | int | float):
                    return f"{path} has the key {_short(key)}; keys of a JSON object are texts"
        guilty = next((child for child in _children(path, inner) if not _encodable(child[1])), None)
        if guilty is None:
            return f"{path} is {_kind(inner)}, which cannot be written as JSON"
        path, inner = guilty
    return f"{name} contains itself, or is nested too deeply"


def _children(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What `value` contains, each with its path."""
    if isinstance(value, list | tuple | set | frozenset):
        return ((f"{path}[{index}]", inner) for index, inner in enumerate(value))
    return ((f"{path}.{name}", inner) for name, inner in _members(value))


def _members(value: Any) -> Iterable[tuple[str, Any]]:
    """The members of an object, under the names that the engine sees."""
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, msgspec.Struct):
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        return [(shown, getattr(value, name)) for name, shown in names]
    if is_pydantic(type(value)) and hasattr(value, "model_dump"):
        return [(name, getattr(value, name)) for name in type(value).__pydantic_fields__]
    if is_dataclass(value) and not isinstance(value, type):
        return [(name, getattr(value, name)) for name in value.__dataclass_fields__]
    return ()


def _encodable(value: Any) -> bool:
    try:
        msgspec.json.encode(value, enc_hook=_simpler)
    except Exception:
        return False
    return True


def _kind(value: Any) -> str:
    name = type(value).__qualname__
    return (
        f"of type {name}" if isinstance(value, str | bytes) or len(_short(value)) > 40 else f"{_short(value)} ({name})"
    )


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__qualname__}>"
    return text if len(text) <= 60 else f"{text[:57]}..."
