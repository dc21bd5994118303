"""Finds places where handlers read credentials of the engine, which their processes do not have."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from jobfleet.supervisor.environment import is_secret_name

_READERS = frozenset({"environ", "environb", "getenv", "getenvb"})


class SecretRead(NamedTuple):
    """One place."""

    line: int
    name: str


def secret_reads(files: Iterable[str]) -> list[str]:
    """A sentence for each place in these files."""
    return [
        f"{file}:{read.line}: reads {read.name}, which worker processes do not inherit; "
        "give handlers credentials of their own, or set pass_credentials = true"
        for file in sorted(set(files))
        for read in _reads(file)
    ]


def _reads(file: str) -> list[SecretRead]:
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        # Whoever loads it says what is wrong with it.
        return []
    return sorted({read for node in ast.walk(tree) for read in _of_node(node)})


def _of_node(node: ast.AST) -> Iterable[SecretRead]:
    """`os.environ["X"]`, `os.environ.get("X")`, `os.getenv("X")`, `"X" in os.environ`, however they were imported."""
    if isinstance(node, ast.Subscript) and _names_environment(node.value):
        yield from _secrets([node.slice])
    elif isinstance(node, ast.Call) and _names_environment(node.func):
        yield from _secrets(node.args[:1] + [keyword.value for keyword in node.keywords if keyword.arg == "key"])
    elif isinstance(node, ast.Compare) and any(map(_names_environment, node.comparators)):
        yield from _secrets([node.left])


def _names_environment(node: ast.expr) -> bool:
    """Whether `node` is the environment, something of it, or a function that reads it."""
    while isinstance(node, ast.Attribute):
        if node.attr in _READERS:
            return True
        node = node.value
    return isinstance(node, ast.Name) and node.id in _READERS


def _secrets(nodes: Iterable[ast.expr]) -> Iterable[SecretRead]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            name = node.value if isinstance(node.value, str) else node.value.decode(errors="replace")
            if is_secret_name(name):
                yield SecretRead(node.lineno, name)
