"""Where settings come from: each source is a table from a setting's path to a raw value and its origin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from jobfleet.config.errors import SettingsError
from jobfleet.config.shape import ENVIRONMENT_NAMES, KeyPath, PathSet, fields_of, table_of

_CONTROL_NAMES: Final = frozenset({"JOBFLEET_CONFIG", "JOBFLEET_ENV_FILE"})


class Raw(NamedTuple):
    """A value before it is checked."""

    value: Any
    origin: str
    from_text: bool


Source = dict[KeyPath, Raw]


def command_line(values: Mapping[KeyPath, Any], flags: Mapping[KeyPath, str]) -> Source:
    """Options as given to the command; `flags` names them in messages."""
    return {path: Raw(value, flags.get(path, "command line"), True) for path, value in values.items()}


def environment(environ: Mapping[str, str], place: str = "") -> tuple[Source, list[str]]:
    """`JOBFLEET_*` variables, and a sentence for each that is no setting. `place` names their file."""
    source: Source = {}
    notes: list[str] = []
    for name, value in sorted(environ.items()):
        if not name.startswith("JOBFLEET_") or name in _CONTROL_NAMES:
            continue
        path = ENVIRONMENT_NAMES.get(name)
        if path is None:
            notes.append(f"{place}{name} is not a setting{nearest(name, ENVIRONMENT_NAMES, 'the nearest is')}")
        elif value:
            source[path] = Raw(value, f"{place}{name}", True)
    return source, notes


def toml_file(file: Path) -> Source:
    """The values of a `fleet.toml`. Raises `SettingsError` with `file:line` for what is not known or not TOML."""
    from jobfleet.config.toml_lines import line_of, parse  # noqa: PLC0415 - most fleets have no file

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{file}: cannot be read: {error}"]) from error
    document, problem = parse(text)
    if document is None:
        raise SettingsError([f"{file}{problem}"])
    source: Source = {}
    problems: list[str] = []
    for path, value, complaint in _walk(document, ()):
        place = f"{file}:{line_of(text, path)}"
        if complaint:
            problems.append(f"{place}: {complaint}")
        else:
            source[path] = Raw(_anchored(path, value, file.parent), place, False)
    if problems:
        raise SettingsError(problems)
    return source


def nearest(word: str, known: Iterable[str], phrase: str = "the nearest valid key is", quote: str = "") -> str:
    """`; the nearest valid key is ...`, or the list of all keys when none is near."""
    import difflib  # noqa: PLC0415 - only errors need it, and start-up time counts

    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if close:
        return f"; {phrase} {quote}{close[0]}{quote}"
    return f"; known: {', '.join(quote + name + quote for name in names)}" if len(names) <= 20 else ""


def _walk(table: Mapping[str, Any], prefix: KeyPath) -> Iterable[tuple[KeyPath, Any, str | None]]:
    """Every leaf of the document with its path, or with what is wrong about it."""
    known: PathSet = fields_of(prefix)
    for key, value in table.items():
        path = (*prefix, key)
        if known is not None and key not in known:
            where = f" in [{'.'.join(prefix)}]" if prefix else ""
            yield path, value, f"unknown key `{key}`{where}{nearest(key, known, quote='`')}"
        elif table_of(path):
            if isinstance(value, dict):
                yield from _walk(value, path)
            else:
                yield path, value, f"`{'.'.join(path)}` must be a table, written [{'.'.join(path)}]"
        else:
            yield path, value, None


def _anchored(path: KeyPath, value: Any, folder: Path) -> Any:
    """Paths in a file are relative to the file; dotted module names stay as they are."""
    if path[-1].endswith(("socket", "_file", "_dir")) and isinstance(value, str):
        return str(folder / Path(value).expanduser())
    if path[-1] == "handlers" and isinstance(value, list):
        return [str(folder / item) if _is_path(item, folder) else item for item in value]
    return value


def _is_path(item: object, folder: Path) -> bool:
    return isinstance(item, str) and (item.endswith(".py") or "/" in item or (folder / item).is_dir())
