"""TOML with line numbers, which the standard parser does not give."""

from __future__ import annotations

import re
import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_LINE = re.compile(r" \(at line (\d+), column (\d+)\)")


def parse(text: str) -> tuple[dict[str, Any] | None, str]:
    """The document, or None and `:line: what is wrong`."""
    try:
        return tomllib.loads(text), ""
    except tomllib.TOMLDecodeError as error:
        place = _LINE.search(str(error))
        line = place[1] if place else str(text.count("\n") + 1)
        return None, f":{line}: not valid TOML: {_LINE.sub('', str(error))}"


def line_of(text: str, path: tuple[str, ...]) -> int:
    """The line on which the key at `path` stands.

    The shortest beginning of the text that parses and has the key ends on the last line of the key's value; the
    longest shorter one that parses ends just before it.
    """
    lines = text.splitlines()
    before = 0
    for count in range(1, len(lines) + 1):
        document, _ = parse("\n".join(lines[:count]))
        if document is None:
            continue
        if _has(document, path):
            return _first_written(lines, before, count)
        before = count
    return 1


def _first_written(lines: list[str], before: int, count: int) -> int:
    """The first line after `before` that is not empty or a comment."""
    for index in range(before, count):
        stripped = lines[index].strip()
        if stripped and not stripped.startswith("#"):
            return index + 1
    return count


def _has(document: dict[str, Any], path: tuple[str, ...]) -> bool:
    here: Any = document
    for key in path:
        if not isinstance(here, dict) or key not in here:
            return False
        here = here[key]
    return True
