"""Decodes the engine's bytes of a job into `Job[T]`."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from jobfleet.handlers.fields import is_pydantic
from jobfleet.handlers.job import Job

Decode = Callable[[bytes], Job[Any]]

_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<place>.*)`)?", re.DOTALL)
_MEMBER = re.compile(r"\.([^.\[]+)")


class BadVariables(Exception):
    """A job's variables do not fit the declared type; `str()` names the path and the type expected there."""


def decoder_of(declared: Any) -> Decode:
    """The function that decodes jobs with variables of type `declared`. Raises TypeError for an impossible type."""
    if not is_pydantic(declared):
        return msgspec.json.Decoder(Job[declared], dec_hook=_convert).decode
    envelope = msgspec.json.Decoder(Job[msgspec.Raw])
    validate = _adapter(declared).validate_json

    def decode(raw: bytes) -> Job[Any]:
        job: Job[Any] = envelope.decode(raw)
        job.variables = validate(bytes(job.variables))
        return job

    return decode


def decode_again(decode: Decode, declared: Any, raw: bytes, error: Exception) -> Job[Any]:
    """A second try after `decode` raised `error` on `raw`: a member that is not as expected must not cost the job.

    Members other than the variables are dropped one by one where they do not fit, so that a newer engine that changes
    one is survived. Raises BadVariables when it is the variables that do not fit.
    """
    try:
        document = msgspec.json.decode(raw)
    except msgspec.DecodeError as wrong:
        raise BadVariables(f"the job is not valid JSON: {wrong}") from None
    if not isinstance(document, dict):
        raise BadVariables(f"the job is a JSON {type(document).__name__}, not an object")
    if document.get("variables") is None:
        document["variables"] = {}
    for _ in range(len(document)):
        try:
            return decode(msgspec.json.encode(document))
        except Exception as still:
            error = still
            member = _MEMBER.match(_split(error)[1])
            if member is None or member[1] == "variables" or member[1] not in document:
                break
            del document[member[1]]
    raise BadVariables(_misfit(declared, error)) from None


def _split(error: Exception) -> tuple[str, str]:
    """What is wrong, and where: the JSON path below the job."""
    found = _PLACE.fullmatch(str(error))
    return (found["what"], found["place"] or "") if found is not None else (str(error), "")


def _misfit(declared: Any, error: Exception) -> str:
    name = getattr(declared, "__name__", str(declared))
    details = getattr(error, "errors", None) or getattr(error.__cause__, "errors", None)
    if callable(details):
        return f"variables do not fit {name}: {_pydantic_details(details())}"
    what, place = _split(error)
    return f"variables do not fit {name}: {what} at {place.removeprefix('.') or 'variables'}"


def _pydantic_details(errors: list[dict[str, Any]]) -> str:
    first = errors[0]
    place = ".".join(["variables", *(str(part) for part in first["loc"])])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{first['msg']} at {place}{more}"


def _convert(declared: Any, value: Any) -> Any:
    """Values of the classes that msgspec does not know: pydantic models inside of other types."""
    return _adapter(declared).validate_python(value)


@cache
def _adapter(declared: Any) -> Any:
    from pydantic import TypeAdapter  # noqa: PLC0415 - only where the author has it installed and uses it

    return TypeAdapter(declared)
