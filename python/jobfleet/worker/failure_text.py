"""What an operator reads about an exception that a handler raised."""

import linecache
import os
from types import TracebackType

LONGEST_MESSAGE = 4_000
"""Characters. Engines keep the message with the job and show it in full."""
_MOST_FRAMES = 8
_MOST_CAUSES = 3
_LONGEST_SUMMARY = 1_000
_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def failure_text(error: BaseException) -> str:
    """Type and message, then the handler's own frames, then what caused it; bounded."""
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(parts) < _MOST_CAUSES:
        parts.append("\n".join([_summary(current), *_frames(current.__traceback__)]))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return cut("\ncaused by ".join(parts))


def cut(text: str) -> str:
    """`text` in at most `LONGEST_MESSAGE` characters that can be encoded."""
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 4]} ..."


def _summary(error: BaseException) -> str:
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be shown)"
    name = type(error).__qualname__
    text = f"{name}: {message}" if message else name
    return text if len(text) <= _LONGEST_SUMMARY else f"{text[: _LONGEST_SUMMARY - 4]} ..."


def _frames(trace: TracebackType | None) -> list[str]:
    shown: list[str] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith(_OWN):
            source = linecache.getline(code.co_filename, trace.tb_lineno).strip()[:200]
            place = f"  {_relative(code.co_filename)}:{trace.tb_lineno} in {code.co_name}"
            shown.append(f"{place}: {source}" if source else place)
        trace = trace.tb_next
    if len(shown) > _MOST_FRAMES:
        left_out = len(shown) - _MOST_FRAMES
        shown = [shown[0], f"  ... {left_out} more", *shown[-(_MOST_FRAMES - 1) :]]
    return shown


def _relative(file: str) -> str:
    here = os.getcwd() + os.sep
    return file.removeprefix(here)
