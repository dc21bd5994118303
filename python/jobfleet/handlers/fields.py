"""What a declared type of variables needs from the engine: the names to fetch."""

from typing import Any

import msgspec
from msgspec import inspect as shapes


class Names(msgspec.Struct, frozen=True):
    """The variables that a type reads."""

    all: tuple[str, ...]
    """In order of declaration, as the engine spells them."""
    required: tuple[str, ...]


class UnsuitableType(Exception):
    """A declared type cannot hold the variables of a job; `str()` says why."""


def is_pydantic(cls: Any) -> bool:
    """Whether `cls` is a pydantic model or a pydantic dataclass. Does not import pydantic."""
    return isinstance(cls, type) and hasattr(cls, "__pydantic_validator__")


def names_of(declared: Any) -> Names | None:
    """The variables that `declared` reads, or None when it takes whatever comes. Raises UnsuitableType."""
    if is_pydantic(declared):
        return _pydantic_names(declared)
    try:
        shape = shapes.type_info(declared)
    except Exception as wrong:
        raise UnsuitableType(str(wrong)) from None
    _refuse_unknown_classes(shape, set())
    return _object_names(shape)


def _object_names(shape: shapes.Type) -> Names | None:
    if isinstance(shape, shapes.AnyType | shapes.DictType | shapes.RawType):
        return None
    if isinstance(shape, shapes.Metadata):
        return _object_names(shape.type)
    if isinstance(shape, shapes.UnionType):
        members = [_object_names(member) for member in shape.types]
        known = [member for member in members if member is not None]
        return _together(known) if len(known) == len(members) else None
    if isinstance(shape, shapes.StructType) and not shape.array_like:
        tag = () if shape.tag_field is None else (shape.tag_field,)
        return _field_names(shape.fields, tag)
    if isinstance(shape, shapes.DataclassType | shapes.TypedDictType):
        return _field_names(shape.fields, ())
    raise UnsuitableType(f"variables are a JSON object, which {type(shape).__name__.removesuffix('Type')} is not")


def _field_names(fields: tuple[shapes.Field, ...], tag: tuple[str, ...]) -> Names | None:
    names = tag + tuple(field.encode_name for field in fields)
    required = tag + tuple(field.encode_name for field in fields if field.required)
    # An empty list means "everything" to the engines, so a type without fields cannot ask for nothing.
    return Names(names, required) if names else None


def _together(members: list[Names]) -> Names:
    every = dict.fromkeys(name for member in members for name in member.all)
    shared = [name for name in every if all(name in member.required for member in members)]
    return Names(tuple(every), tuple(shared))


def _refuse_unknown_classes(shape: Any, seen: set[int], place: str = "variables") -> None:
    """Walk `shape`; a class that cannot be decoded from JSON is refused now, not with the first job."""
    if isinstance(shape, shapes.CustomType) and not is_pydantic(shape.cls):
        raise UnsuitableType(f"{place} has the type {getattr(shape.cls, '__name__', shape.cls)!r}, unknown in JSON")
    if not isinstance(shape, shapes.Type) or id(shape) in seen:
        return
    seen.add(id(shape))
    for field in getattr(shape, "fields", ()):
        _refuse_unknown_classes(field.type, seen, f"{place}.{field.encode_name}")
    for part in ("type", "item_type", "key_type", "value_type"):
        _refuse_unknown_classes(getattr(shape, part, None), seen, place)
    for part in ("types", "item_types"):
        for member in getattr(shape, part, ()):
            _refuse_unknown_classes(member, seen, place)


def _pydantic_names(model: Any) -> Names | None:
    fields: dict[str, Any] = model.__pydantic_fields__ if hasattr(model, "__pydantic_fields__") else model.model_fields
    config: Any = getattr(model, "model_config", None) or getattr(model, "__pydantic_config__", None) or {}
    if config.get("extra") == "allow":
        return None
    by_name = config.get("populate_by_name") or config.get("validate_by_name")
    names: dict[str, None] = {}
    required: list[str] = []
    for name, field in fields.items():
        aliases = _aliases(field.validation_alias if field.validation_alias is not None else field.alias)
        candidates = [*aliases, name] if by_name or not aliases else aliases
        names.update(dict.fromkeys(candidates))
        if field.is_required() and len(candidates) == 1:
            required += candidates
    return Names(tuple(names), tuple(required)) if names else None


def _aliases(alias: Any) -> list[str]:
    if alias is None:
        return []
    if isinstance(alias, str):
        return [alias]
    choices = getattr(alias, "choices", None)
    if choices is not None:
        return [name for choice in choices for name in _aliases(choice)]
    return [alias.path[0]]
