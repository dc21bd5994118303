"""Puts the settings together: command line, then environment, then `.env`, then `fleet.toml`, then defaults.

In the environment and in `.env`, a `JOBFLEET_*` variable wins over a `CAMUNDA_*` one that means the same.

The first source that has a value wins, setting by setting. Lists are replaced, never joined.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from jobfleet.config.auth import AuthSettings, Strategy, choose
from jobfleet.config.camunda_env import camunda_environment
from jobfleet.config.durations import ByteSize, Duration
from jobfleet.config.engine_url import parse_engine_url
from jobfleet.config.env_file import env_file, read_env_file
from jobfleet.config.errors import SettingsError
from jobfleet.config.exposure import exposed_secrets, visible_password
from jobfleet.config.hosts import granted_processors
from jobfleet.config.layers import camunda_certificates, layered
from jobfleet.config.model import (
    DEFAULT_POOL,
    EngineSettings,
    HandlerDefaults,
    PoolPlan,
    PoolSettings,
    Recycling,
    Settings,
)
from jobfleet.config.proxy import NONE, parse_proxy, proxy_of_environment, proxy_to
from jobfleet.config.secret import Secret
from jobfleet.config.shape import KeyPath, bare_type, bounds, expected, field_type
from jobfleet.config.sources import Raw, Source, command_line, environment, toml_file
from jobfleet.config.tls import TlsSettings

_DEFAULT_FILE = Path("fleet.toml")
_LISTS = ("handlers", "tenants")


class Loaded(NamedTuple):
    """Settings, the files they came from, and what a user should be told about them."""

    settings: Settings
    file: Path | None
    notes: list[str]
    env_file: Path | None
    strategy: Strategy
    """Which credentials count."""
    token_proxy: Secret | None = None
    """The proxy on the way to the token server."""


def load_settings(
    values: Mapping[KeyPath, Any],
    environ: Mapping[str, str],
    file: Path | None = None,
    flags: Mapping[KeyPath, str] | None = None,
) -> Loaded:
    """Merge all sources and check every value. Raises `SettingsError` that lists everything that is wrong.

    `file` None means `JOBFLEET_CONFIG`, else `fleet.toml` of the working directory when there is one.
    """
    named = env_file(environ)
    variables = read_env_file(named) if named else {}
    file = file or _configured_file({**variables, **environ})
    from_file = toml_file(file) if file else {}
    from_env_file, notes = _variables(variables, f"{named}: ")
    from_environment, more = _variables(environ)
    merged = layered(from_file, from_env_file, from_environment, command_line(values, flags or {}))
    built = _build(merged)
    settings = with_proxy(built, environ)
    strategy = _choose_credentials(settings, merged)
    token_proxy = _token_proxy(built, environ) if strategy == "oauth" else None
    notes += more + exposed_secrets(file, from_file) + exposed_secrets(named, from_env_file)
    notes += visible_password(("engine", "url") in values, settings.engine.url)
    return Loaded(settings, file, notes, named, strategy, token_proxy)


def with_proxy(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """The settings with the proxy that counts. Raises `SettingsError` when the environment's cannot be used."""
    engine = settings.engine
    proxy = engine.proxy
    if engine.url is None or (proxy is not None and proxy.reveal() == NONE):
        proxy = None
    elif proxy is None:
        try:
            found = proxy_of_environment(parse_engine_url(engine.url).url, environ)
        except ValueError as error:
            raise SettingsError([str(error)]) from None
        proxy = found[1] if found else None
    return msgspec.structs.replace(settings, engine=msgspec.structs.replace(engine, proxy=proxy))


def _token_proxy(built: Settings, environ: Mapping[str, str]) -> Secret | None:
    try:
        return proxy_to(built.auth.token_url, built.engine.proxy, environ)
    except ValueError as error:
        raise SettingsError([str(error)]) from None


def _variables(environ: Mapping[str, str], place: str = "") -> tuple[Source, list[str]]:
    """What the variables set, ours before Camunda's."""
    theirs, their_notes = camunda_environment(environ, place)
    ours, our_notes = environment(environ, place)
    return layered(theirs, camunda_certificates(environ, place), ours), our_notes + their_notes


def _choose_credentials(settings: Settings, merged: Source) -> Strategy:
    """Raises `SettingsError` when it is not clear which credentials count. The embedded engine wants none."""
    if settings.engine.url is None:
        return "none"
    origins = {path[1]: raw.origin for path, raw in merged.items() if path[0] == "auth"}
    if settings.engine.authorization is not None:
        origins["engine.authorization"] = merged["engine", "authorization"].origin
    elif parse_engine_url(settings.engine.url).authorization is not None:
        origins["engine.authorization"] = merged["engine", "url"].origin
    try:
        return choose(settings.auth, "engine.authorization" in origins, origins)
    except ValueError as error:
        raise SettingsError([str(error)]) from None


def plan_pools(settings: Settings) -> list[PoolPlan]:
    """The pools to run, with what they inherit from the fleet. Raises `SettingsError` when there is nothing to run."""
    pools = dict(settings.pools)
    if settings.handlers:
        if DEFAULT_POOL in pools:
            raise SettingsError(
                [f"the fleet's `handlers` form the pool `{DEFAULT_POOL}`; rename [pools.{DEFAULT_POOL}]"]
            )
        pools = {DEFAULT_POOL: PoolSettings(handlers=settings.handlers), **pools}
    if not pools:
        raise SettingsError(["no handlers to run; name files, folders or modules: jobfleet run handlers.py"])
    return [_plan(name, pool, settings) for name, pool in pools.items()]


def _plan(name: str, pool: PoolSettings, settings: Settings) -> PoolPlan:
    processes = pool.processes or settings.processes
    time_limit_ms, hard_time_limit_ms = _limits_ms(name, pool, settings)
    return PoolPlan(
        name=name,
        handlers=pool.handlers,
        processes=granted_processors() if processes == "auto" else processes,
        slots=settings.slots if pool.slots is None else pool.slots,
        preload=settings.preload if pool.preload is None else pool.preload,
        start_timeout_s=(pool.start_timeout or settings.start_timeout).s,
        time_limit_ms=time_limit_ms,
        hard_time_limit_ms=hard_time_limit_ms,
        stalled_timeout_s=(pool.stalled_timeout or settings.stalled_timeout).s,
        stopped_timeout_s=(pool.stopped_timeout or settings.stopped_timeout).s,
        defaults=settings.defaults,
        recycle=Recycling(
            jobs=pool.recycle_jobs or settings.recycle_jobs,
            age=pool.recycle_age or settings.recycle_age,
            growth=pool.recycle_growth or settings.recycle_growth,
        ),
    )


def _limits_ms(name: str, pool: PoolSettings, settings: Settings) -> tuple[int | None, int | None]:
    """The pool's time limits in milliseconds. Raises `SettingsError` for a pair that cannot work."""
    soft = settings.time_limit if pool.time_limit is None else pool.time_limit
    hard = settings.hard_time_limit if pool.hard_time_limit is None else pool.hard_time_limit
    if soft.ms and hard.ms and hard.ms <= soft.ms:
        raise SettingsError(
            [
                f"pool `{name}`: `hard_time_limit` ({hard}) must be longer than `time_limit` ({soft}): handlers need "
                "the time between them to stop by themselves"
            ]
        )
    return soft.ms or None, hard.ms or None


def _configured_file(environ: Mapping[str, str]) -> Path | None:
    named = environ.get("JOBFLEET_CONFIG")
    if named:
        return Path(named)
    return _DEFAULT_FILE if _DEFAULT_FILE.is_file() else None


def _build(merged: Source) -> Settings:
    problems: list[str] = []
    fleet: dict[str, Any] = {}
    tables: dict[KeyPath, dict[str, Any]] = {
        ("engine",): {},
        ("engine", "tls"): {},
        ("auth",): {},
        ("defaults",): {},
    }
    pools: dict[str, dict[str, Any]] = {}
    for path, raw in merged.items():
        try:
            value = _checked(path, raw)
        except ValueError as error:
            problems.append(f"{raw.origin}: {_place(path, raw)}{error}")
            continue
        table = _table(path, fleet, tables, pools)
        table[path[-1]] = value
    for name, pool in pools.items():
        if not pool.get("handlers") and ("pools", name, "handlers") not in merged:
            origin = next(raw.origin for path, raw in merged.items() if path[:2] == ("pools", name))
            problems.append(f"{origin}: pool `{name}` has no `handlers`")
    if problems:
        raise SettingsError(problems)
    named = {name: PoolSettings(**pool) for name, pool in pools.items()}
    return Settings(
        **fleet,
        engine=EngineSettings(**tables["engine",], tls=TlsSettings(**tables["engine", "tls"])),
        auth=AuthSettings(**tables["auth",]),
        defaults=HandlerDefaults(**tables["defaults",]),
        pools=named,
    )


def _table(
    path: KeyPath, fleet: dict[str, Any], tables: dict[KeyPath, dict[str, Any]], pools: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Where the setting at `path` is collected."""
    if len(path) == 1:
        return fleet
    return tables[path[:-1]] if path[:-1] in tables else pools.setdefault(path[1], {})


def _place(path: KeyPath, raw: Raw) -> str:
    """The key's name where the origin does not say it already."""
    return "" if raw.from_text else f"`{'.'.join(path)}`: "


def _checked(path: KeyPath, raw: Raw) -> Any:
    """The value in its declared type. Raises `ValueError` that says what is expected."""
    value = raw.value
    if raw.from_text and path[-1] in _LISTS and isinstance(value, str):
        value = [item.strip() for item in value.split(",") if item.strip()]
    if raw.from_text and isinstance(value, str) and int in bare_type(path) and value.strip().isdigit():
        # A union of a number and words does not read numbers from text by itself.
        value = int(value)
    try:
        checked = msgspec.convert(value, field_type(path), strict=not raw.from_text, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ValueError(_in_plain_words(error, path, value)) from None
    limits = bounds(path)
    if limits is not None and checked is not None and not limits.admit(checked):
        raise ValueError(f"expected a duration {limits}, not {value!r}")
    if path == ("engine", "url") and checked is not None:
        parse_engine_url(checked)
    if path == ("engine", "proxy") and checked is not None and checked.reveal() != NONE:
        return parse_proxy(checked.reveal())
    return checked


def _decode(kind: type, value: Any) -> Any:
    if kind in (Duration, ByteSize):
        return kind.parse(value)
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    raise ValueError("expected text")


def _in_plain_words(error: msgspec.ValidationError, path: KeyPath, value: Any) -> str:
    kinds = bare_type(path)
    own = isinstance(error.__cause__, ValueError) and Secret not in kinds
    text = str(error).partition(" - at ")[0] if own else expected(path)
    return text if Secret in kinds else f"{text}, not {value!r}"
