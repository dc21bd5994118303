"""Prints docs/settings.md: every setting, from the model that reads them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from jobfleet.config import PoolSettings, Settings
from jobfleet.config.camunda_env import variables_of
from jobfleet.config.durations import ByteSize, Duration
from jobfleet.config.secret import Secret
from jobfleet.config.shape import KeyPath, bounds, description, environment_name, field_type, model_of, setting_paths

_HEAD: Final = """\
# Settings

Every setting of a fleet. The first source that has a value wins, setting by setting: command line, environment, `.env`,
`fleet.toml`, default. [`deploy/fleet.toml`](../deploy/fleet.toml) is a file to start from. A setting that does not
exist, or a value that cannot be, ends the command with status 3 and a sentence: file and line, or variable.

- A *duration* is text such as `"250ms"`, `"30s"` or `"1m30s"`, or a number of **seconds**.
- A *size* is text such as `"64MiB"` or `"1GB"`, or a number of **bytes**.
- Paths in `fleet.toml` are relative to that file.
- In variables, lists are separated by commas.
- Of two variables for one setting, that of jobfleet wins over that of Camunda's SDKs.

(`make docs` writes this page.)
"""
_SECTIONS: Final[dict[KeyPath, str]] = {
    (): "The fleet",
    ("engine",): "[engine]",
    ("engine", "tls"): "[engine.tls]",
    ("auth",): "[auth]",
    ("defaults",): "[defaults]",
}
_POOLS: Final = """\
## [pools.NAME]

Pools of their own for handlers that should not share processes with others. What is unset is taken from the fleet.
Pools have no variables.

| setting | value | meaning |
|---|---|---|
"""
_MORE: Final = """\
## Variables that are no settings

| variable | meaning |
|---|---|
| `JOBFLEET_CONFIG` | the settings file, as `--config` |
| `JOBFLEET_ENV_FILE`, `CAMUNDA_LOAD_ENVFILE` | another file than `.env`; `false` reads none |
| `CAMUNDA_REST_ADDRESS_EXACT` | insists on an address that ends with `/v2` |
| `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | proxies, unless `proxy` is set; lower case too |

`CAMUNDA_REST_ADDRESS` may end with `/v2` or not. `CAMUNDA_WORKER_TIMEOUT` and `CAMUNDA_WORKER_REQUEST_TIMEOUT` are
numbers of milliseconds, `CAMUNDA_WORKER_STARTUP_JITTER_MAX_SECONDS` of seconds. `CAMUNDA_TENANT_IDS` wins over
`CAMUNDA_TENANT_ID`; other names of one setting have to agree. `CAMUNDA_TOKEN_DISK_CACHE_DISABLE` is the opposite of
`cache`. A `CAMUNDA_*` or `ZEEBE_*` name that looks misspelt is named once in the log, with the nearest one that exists.
"""
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    paths = setting_paths()
    for section, title in _SECTIONS.items():
        rows = (_row(path) for path in paths if path[:-1] == section)
        parts.append(_table(title, ("setting", "value", "default", "variable", "of Camunda's SDKs", "meaning"), rows))
    pool = (("pools", "NAME", name) for name in PoolSettings.__struct_fields__)
    parts.append(_POOLS + "".join(f"| `{path[-1]}` | {_value(path)} | {description(path)} |\n" for path in pool))
    parts.append(_MORE)
    return "\n".join(parts)


def _table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"## {title}", "", _line(columns), "|---" * len(columns) + "|", *map(_line, rows)]
    return "\n".join(lines) + "\n"


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def _row(path: KeyPath) -> tuple[str, ...]:
    others = ", ".join(f"`{name}`" for name in variables_of(path))
    return f"`{path[-1]}`", _value(path), _default(path), f"`{environment_name(path)}`", others, description(path)


def _value(path: KeyPath) -> str:
    words = " or ".join(_in_words(kind) for kind in _members(field_type(path)) if kind is not type(None))
    limits = bounds(path)
    return words if limits is None else f"{words} {limits}"


def _members(declared: Any) -> tuple[Any, ...]:
    """The alternatives of a declared type, each with its bounds."""
    inner = (
        get_args(declared)[0] if get_origin(declared) is Annotated or hasattr(declared, "__metadata__") else declared
    )
    if get_origin(inner) in (Union, UnionType):
        return tuple(member for part in get_args(inner) for member in _members(part))
    return (declared,)


def _in_words(declared: Any) -> str:
    meta = declared.__metadata__ if hasattr(declared, "__metadata__") else ()
    kind = get_args(declared)[0] if meta else declared
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if kind is int:
        bound = next(one for one in meta if one.ge is not None)
        return f"{bound.ge} to {bound.le}" if bound.le is not None else f"{bound.ge} or more"
    names = {Duration: "duration", ByteSize: "size", bool: "`true`, `false`", str: "text", Path: "path", Secret: "text"}
    return names.get(kind, "list of texts")


def _default(path: KeyPath) -> str:
    model = model_of(path[:-1]) or Settings
    field = next(one for one in msgspec.structs.fields(model) if one.name == path[-1])
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{_span(value)}`" if isinstance(value, Duration) else f"`{_size(value)}`"


def _span(value: Duration) -> str:
    unit_s, unit = next((one for one in _UNITS if value.s and value.s % one[0] == 0), (1, "s"))
    return f"{value.s / unit_s:g}{unit}" if value.s else "0"


def _size(value: object) -> str:
    return f"{value // 2**20}MiB" if isinstance(value, ByteSize) else str(value)


if __name__ == "__main__":
    sys.stdout.write(page())
