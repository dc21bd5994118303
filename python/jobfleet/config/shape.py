"""The shape of the settings, read from the model: which keys exist where, and how sources name them."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from jobfleet.config.auth import AuthSettings
from jobfleet.config.durations import Bounds
from jobfleet.config.model import EngineSettings, HandlerDefaults, PoolSettings, Settings
from jobfleet.config.tls import TlsSettings

KeyPath = tuple[str, ...]
PathSet = frozenset[str] | None

_TABLES: Final[dict[KeyPath, type[msgspec.Struct]]] = {
    (): Settings,
    ("engine",): EngineSettings,
    ("engine", "tls"): TlsSettings,
    ("auth",): AuthSettings,
    ("defaults",): HandlerDefaults,
}


def model_of(path: KeyPath) -> type[msgspec.Struct] | None:
    """The model whose fields are the keys of the table at `path`; None where keys are free or there is no table."""
    if len(path) == 2 and path[0] == "pools":
        return PoolSettings
    return _TABLES.get(path)


def fields_of(path: KeyPath) -> PathSet:
    """The keys that the table at `path` knows, or None when any key may stand there."""
    model = model_of(path)
    return None if model is None else frozenset(model.__struct_fields__)


def table_of(path: KeyPath) -> bool:
    """Whether the value at `path` is a table."""
    return path == ("pools",) or model_of(path) is not None


def field_type(path: KeyPath) -> Any:
    """The declared type of the setting at `path`, constraints included."""
    model = model_of(path[:-1])
    if model is None:
        raise KeyError(path)
    return next(field.type for field in msgspec.structs.fields(model) if field.name == path[-1])


def description(path: KeyPath) -> str:
    """One sentence about the setting at `path`, for help and documentation."""
    declared = field_type(path)
    if get_origin(declared) is None or not hasattr(declared, "__metadata__"):
        return ""
    return next((meta.description for meta in declared.__metadata__ if meta.description), "")


def bounds(path: KeyPath) -> Bounds | None:
    """Between which durations the setting at `path` has to lie, if it does."""
    constraints = getattr(field_type(path), "__metadata__", ())
    return next((one for one in constraints if isinstance(one, Bounds)), None)


def bare_type(path: KeyPath) -> tuple[Any, ...]:
    """The types that the setting at `path` may have, without constraints."""
    declared = field_type(path)
    inner = get_args(declared)[0] if hasattr(declared, "__metadata__") else declared
    return get_args(inner) if get_args(inner) and get_origin(inner) not in (list, dict) else (inner,)


def expected(path: KeyPath) -> str:
    """What may stand at `path`, in words."""
    members = [_in_words(kind) for kind in _members(field_type(path)) if kind is not type(None)]
    return "expected " + " or ".join(members)


def _members(declared: Any) -> tuple[Any, ...]:
    """The alternatives of a declared type, each with its constraints."""
    if get_origin(declared) in (Union, UnionType):
        return tuple(member for part in get_args(declared) for member in _members(part))
    inner = get_args(declared)[0] if hasattr(declared, "__metadata__") else None
    return _members(inner) if get_origin(inner) in (Union, UnionType) else (declared,)


def _in_words(declared: Any) -> str:
    meta = declared.__metadata__[0] if hasattr(declared, "__metadata__") else Meta()
    kind = get_args(declared)[0] if hasattr(declared, "__metadata__") else declared
    if get_origin(kind) is Literal:
        return " or ".join(f'"{choice}"' for choice in get_args(kind))
    if kind is int:
        return "a whole number" + (f" of at least {meta.ge}" if meta.ge is not None else "")
    if get_origin(kind) is Annotated:
        return _in_words(kind)
    if kind is str and meta.pattern:
        return "a name of letters, digits, `.`, `_` and `-`"
    return {bool: "true or false"}.get(kind, "a list of texts" if get_origin(kind) is list else "text")


def setting_paths() -> list[KeyPath]:
    """Every setting outside the pools' tables."""
    return [
        (*prefix, name)
        for prefix, model in _TABLES.items()
        for name in model.__struct_fields__
        if not table_of((*prefix, name))
    ]


def environment_name(path: KeyPath) -> str:
    """The variable of a setting, such as `JOBFLEET_ENGINE_HOLD`; the engine's address is `JOBFLEET_ENGINE`."""
    return "JOBFLEET_ENGINE" if path == ("engine", "url") else "JOBFLEET_" + "_".join(path).upper()


ENVIRONMENT_NAMES: Final[dict[str, KeyPath]] = {environment_name(path): path for path in setting_paths()}
