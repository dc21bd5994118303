"""`CAMUNDA_*` and `ZEEBE_*` variables, as Camunda's own SDKs name them, as settings of a fleet."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Final

from jobfleet.config.errors import SettingsError
from jobfleet.config.shape import KeyPath
from jobfleet.config.sources import Raw, Source
from jobfleet.config.tls import CAMUNDA_VARIABLES as TLS_VARIABLES

Convert = Callable[[str], str]

# Names that concern something else: clients, other components, the tools around a cluster.
_ELSEWHERE: Final = frozenset(
    {
        "CAMUNDA_BASE_URL",
        "CAMUNDA_CLIENT_MODE",
        "CAMUNDA_CLUSTER_ID",
        "CAMUNDA_CLUSTER_REGION",
        "CAMUNDA_CONSOLE_BASE_URL",
        "CAMUNDA_CONSOLE_CLIENT_ID",
        "CAMUNDA_CONSOLE_CLIENT_SECRET",
        "CAMUNDA_CONSOLE_OAUTH_AUDIENCE",
        "CAMUNDA_CREDENTIALS_SCOPES",
        "CAMUNDA_GRPC_ADDRESS",
        "CAMUNDA_LOAD_ENVFILE",
        "CAMUNDA_MODELER_BASE_URL",
        "CAMUNDA_OPERATE_BASE_URL",
        "CAMUNDA_OPTIMIZE_BASE_URL",
        "CAMUNDA_TASKLIST_BASE_URL",
        "CAMUNDA_TEST_SEED",
        "CAMUNDA_ZEEBE_REST_ADDRESS",
        "ZEEBE_ADDRESS",
        "ZEEBE_CLIENT_CONFIG_PATH",
        "ZEEBE_GRPC_ADDRESS",
        "ZEEBE_INSECURE_CONNECTION",
    }
)
# Nearer than this and a name is taken for a slip of the finger, not for somebody else's variable.
_TYPO: Final = 0.86

_LOG_LEVELS: Final = {"warn": "warning", "trace": "debug", "silly": "debug"}


def camunda_environment(environ: Mapping[str, str], place: str = "") -> tuple[Source, list[str]]:
    """What these variables set, and a sentence for each that looks misspelt. `place` names their file.

    Names of one row of the table are aliases. Raises `SettingsError` for aliases that contradict each other and for
    values that cannot be read.
    """
    source: Source = {}
    problems: list[str] = []
    for path, names, convert in _TABLE:
        try:
            found = _first(environ, names)
            if found is not None:
                name, text = found
                value = convert(text)
                if value:
                    source[path] = Raw(value, f"{place}{name}", True)
        except ValueError as error:
            problems.append(f"{place}{error}")
    try:
        _tenants(environ, place, source)
        _cache(environ, place, source)
        _exact(environ)
    except ValueError as error:
        problems.append(f"{place}{error}")
    if problems:
        raise SettingsError(problems)
    return source, _typos(environ, place)


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str] | None:
    """The first name of a row that is set. Raises `ValueError` when another one says something else."""
    given = [(name, environ[name].strip()) for name in names if environ.get(name, "").strip()]
    for name, text in given[1:]:
        if text.rstrip("/") != given[0][1].rstrip("/"):
            raise ValueError(f"{given[0][0]} and {name} mean the same and differ; set one of them")
    return given[0] if given else None


def _address(text: str) -> str:
    """`https://host/base/v2` as an engine's address; the core adds `/v2` itself."""
    if "://" not in text:
        raise ValueError("CAMUNDA_REST_ADDRESS: expected an address such as https://host/base")
    return "camunda+" + text.rstrip("/").removesuffix("/v2")


def _hold(text: str) -> str:
    """Zero leaves the choice to the engine."""
    held = _number("CAMUNDA_WORKER_REQUEST_TIMEOUT", "ms")(text)
    return "" if held == "0ms" else held


def _number(name: str, unit: str) -> Convert:
    def convert(text: str) -> str:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name}: expected a number of {_UNITS[unit]}, not {text!r}")
        return f"{value:g}{unit}" if unit != "ms" else f"{round(value)}ms"

    return convert


_UNITS: Final = {"ms": "milliseconds", "s": "seconds"}


def _log_level(text: str) -> str:
    lowered = text.lower()
    return _LOG_LEVELS.get(lowered, lowered)


_TABLE: Final[tuple[tuple[KeyPath, tuple[str, ...], Convert], ...]] = (
    (("engine", "url"), ("CAMUNDA_REST_ADDRESS", "ZEEBE_REST_ADDRESS"), _address),
    (("engine", "hold"), ("CAMUNDA_WORKER_REQUEST_TIMEOUT",), _hold),
    (
        ("engine", "poll_jitter"),
        ("CAMUNDA_WORKER_STARTUP_JITTER_MAX_SECONDS",),
        _number("CAMUNDA_WORKER_STARTUP_JITTER_MAX_SECONDS", "s"),
    ),
    (("engine", "worker_name"), ("CAMUNDA_WORKER_NAME",), str),
    (("engine", "backpressure"), ("CAMUNDA_SDK_BACKPRESSURE_PROFILE",), str.lower),
    (("log_level",), ("CAMUNDA_SDK_LOG_LEVEL",), _log_level),
    (("defaults", "lease"), ("CAMUNDA_WORKER_TIMEOUT",), _number("CAMUNDA_WORKER_TIMEOUT", "ms")),
    (("defaults", "max_jobs"), ("CAMUNDA_WORKER_MAX_CONCURRENT_JOBS",), str),
    (("auth", "strategy"), ("CAMUNDA_AUTH_STRATEGY",), str.lower),
    (("auth", "client_id"), ("CAMUNDA_CLIENT_ID", "CAMUNDA_CLIENT_AUTH_CLIENTID", "ZEEBE_CLIENT_ID"), str),
    (
        ("auth", "client_secret"),
        ("CAMUNDA_CLIENT_SECRET", "CAMUNDA_CLIENT_AUTH_CLIENTSECRET", "ZEEBE_CLIENT_SECRET"),
        str,
    ),
    (
        ("auth", "token_url"),
        ("CAMUNDA_OAUTH_URL", "CAMUNDA_AUTHORIZATION_SERVER_URL", "ZEEBE_AUTHORIZATION_SERVER_URL"),
        str,
    ),
    (("auth", "audience"), ("CAMUNDA_TOKEN_AUDIENCE", "ZEEBE_TOKEN_AUDIENCE"), str),
    (("auth", "scope"), ("CAMUNDA_TOKEN_SCOPE", "ZEEBE_TOKEN_SCOPE"), str),
    (("auth", "resource"), ("CAMUNDA_TOKEN_RESOURCE", "ZEEBE_TOKEN_RESOURCE"), str),
    (("auth", "username"), ("CAMUNDA_BASIC_AUTH_USERNAME",), str),
    (("auth", "password"), ("CAMUNDA_BASIC_AUTH_PASSWORD",), str),
    (("auth", "cache_dir"), ("CAMUNDA_TOKEN_CACHE_DIR",), str),
)


def _tenants(environ: Mapping[str, str], place: str, source: Source) -> None:
    """The list wins over the single tenant, as in the SDKs."""
    for name in _BY_HAND["defaults", "tenants"]:
        tenants = [tenant.strip() for tenant in environ.get(name, "").split(",") if tenant.strip()]
        if tenants:
            source["defaults", "tenants"] = Raw(tenants, f"{place}{name}", True)
            return


def _cache(environ: Mapping[str, str], place: str, source: Source) -> None:
    (name,) = _BY_HAND["auth", "cache"]
    if environ.get(name):
        source["auth", "cache"] = Raw(not truth(name, environ[name]), f"{place}{name}", True)


def _exact(environ: Mapping[str, str]) -> None:
    """A verbatim address can be used only where jobfleet would come to the same one."""
    name = "CAMUNDA_REST_ADDRESS_EXACT"
    if not environ.get(name) or not truth(name, environ[name]):
        return
    address = environ.get("CAMUNDA_REST_ADDRESS") or environ.get("ZEEBE_REST_ADDRESS") or "/v2"
    if not address.rstrip("/").endswith("/v2"):
        raise ValueError(f"{name}: the address must end with /v2, which every request of jobfleet goes below")


def truth(name: str, text: str) -> bool:
    """A switch of the environment. Raises `ValueError`."""
    word = text.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"{name}: expected true or false, not {text!r}")


def _typos(environ: Mapping[str, str], place: str) -> list[str]:
    notes = []
    for name in sorted(environ):
        if not name.startswith(("CAMUNDA_", "ZEEBE_")) or name in KNOWN or name in _ELSEWHERE:
            continue
        near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=_TYPO)
        if near:
            notes.append(f"{place}{name} is not a setting; the nearest is {near[0]}")
    return notes


_BY_HAND: Final[dict[KeyPath, tuple[str, ...]]] = {
    ("defaults", "tenants"): ("CAMUNDA_TENANT_IDS", "CAMUNDA_TENANT_ID"),
    ("auth", "cache"): ("CAMUNDA_TOKEN_DISK_CACHE_DISABLE",),
}


def variables_of(path: KeyPath) -> tuple[str, ...]:
    """The variables of Camunda's SDKs that stand for the setting at `path`; the first that is set counts."""
    if path[:-1] == ("engine", "tls"):
        return tuple(name for name, key in TLS_VARIABLES.items() if key == path[-1])
    return next((names for other, names, _ in _TABLE if other == path), _BY_HAND.get(path, ()))


KNOWN: Final = frozenset(
    {
        *(name for _, names, _ in _TABLE for name in names),
        *(name for names in _BY_HAND.values() for name in names),
        *TLS_VARIABLES,
        "CAMUNDA_REST_ADDRESS_EXACT",
    }
)
