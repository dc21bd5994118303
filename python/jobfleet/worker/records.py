"""Log records of jobs, as JSON for the link."""

import sys
from typing import TYPE_CHECKING, Any

import orjson

from jobfleet.handlers.state import State
from jobfleet.worker.cancels import Cancels

if TYPE_CHECKING:
    from jobfleet._core import Link

LONGEST_LINE_BYTES = 16 * 1024
"""A record or printed line is cut here: one job must not fill the logs of a host."""

_HIGHEST_LEVEL = 255
"""A level is one byte on the link."""
_LENIENT = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


class LaneContext:
    """What the jobs of one lane reach beyond themselves. Implements `jobfleet.handlers.context.Context`."""

    __slots__ = ("_cancels", "_lane", "_link", "state")

    def __init__(self, link: "Link", lane: int, state: State, cancels: Cancels) -> None:
        self._link = link
        self._lane = lane
        self._cancels = cancels
        self.state = state

    def log(self, number: int, level: int, message: str, fields: dict[str, Any]) -> None:
        """Send one record: `fields` and `message`."""
        self._send(number, level, encode_record(message, fields))

    def printed(self, number: int, level: int, line: str, stream: str) -> None:
        """Send one line that job `number` printed to `stream` (stdout or stderr)."""
        self._send(number, level, encode_record(line, {}, stream))

    def cancelled(self, number: int) -> bool:
        """Whether the outcome of job `number` is no longer wanted."""
        return (self._lane, number) in self._cancels

    def _send(self, number: int, level: int, record: bytes) -> None:
        try:
            self._link.log(max(0, min(level, _HIGHEST_LEVEL)), self._lane, number, record)
        except RuntimeError:
            # A child that a handler forked has no link; what it says goes where its other output goes.
            sys.stderr.write(f"{record.decode()}\n")


def encode_record(message: str, fields: dict[str, Any], stream: str | None = None) -> bytes:
    """`fields`, `message` and `stream` as one object of at most `LONGEST_LINE_BYTES`; what is not JSON becomes text."""
    own = {"message": _text(message)} | ({} if stream is None else {"stream": stream})
    try:
        encoded = orjson.dumps({**fields, **own}, _text, _LENIENT)
    except TypeError:
        encoded = orjson.dumps({_text(name): _json(value) for name, value in fields.items()} | own)
    # Most characters take one byte of JSON, none takes more than six.
    for longest in (LONGEST_LINE_BYTES - 256, (LONGEST_LINE_BYTES - 256) // 6):
        if len(encoded) <= LONGEST_LINE_BYTES:
            break
        encoded = orjson.dumps(own | {"message": own["message"][:longest], "cut": True})
    return encoded


def _json(value: object) -> orjson.Fragment | str:
    try:
        return orjson.Fragment(orjson.dumps(value, _text, _LENIENT))
    except TypeError:
        return _text(value)


def _text(value: object) -> str:
    try:
        text = str(value)
    except Exception:
        text = f"<{type(value).__qualname__}>"
    return text.encode(errors="backslashreplace").decode()
