"""Which credentials a fleet shows the engine: the settings, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from jobfleet.config.secret import Secret

Strategy = Literal["none", "basic", "oauth", "token_file", "provider", "header"]


CAMUNDA_CLOUD: Final = "https://login.cloud.camunda.io/oauth/token"


class AuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The credentials of the fleet at its engine. Files are read again when they change."""

    strategy: Annotated[
        Strategy | None, Meta(description="Which of the credentials counts. Unset: the only one that is given.")
    ] = None
    client_id: Annotated[str | None, Meta(description="OAuth client.")] = None
    client_secret: Annotated[Secret | None, Meta(description="Secret of the OAuth client.")] = None
    client_secret_file: Annotated[Path | None, Meta(description="File with the secret of the OAuth client.")] = None
    token_url: Annotated[str, Meta(description="Where OAuth tokens are fetched.")] = CAMUNDA_CLOUD
    audience: Annotated[str, Meta(description="Audience of the token; empty asks for none.")] = "zeebe.camunda.io"
    scope: Annotated[str | None, Meta(description="Scope of the token.")] = None
    resource: Annotated[str | None, Meta(description="Resource that the token is for.")] = None
    username: Annotated[str | None, Meta(description="User of HTTP Basic.")] = None
    password: Annotated[Secret | None, Meta(description="Password of HTTP Basic.")] = None
    password_file: Annotated[Path | None, Meta(description="File with the password of HTTP Basic.")] = None
    token_file: Annotated[Path | None, Meta(description="File with a bearer token that somebody else renews.")] = None
    provider: Annotated[
        str | None, Meta(description="Class that hands out the header, such as package.module.Class.")
    ] = None
    cache_dir: Annotated[
        Path | None, Meta(description="Folder where OAuth tokens outlive a restart, shared by the fleets of a user.")
    ] = None
    cache: Annotated[bool, Meta(description="Use `cache_dir`.")] = True


# What each strategy needs: one of the names of each group.
_NEEDS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "none": (),
    "basic": (("username",), ("password", "password_file")),
    "oauth": (("client_id",), ("client_secret", "client_secret_file")),
    "token_file": (("token_file",),),
    "provider": (("provider",),),
    "header": (("engine.authorization",),),
}


def choose(auth: AuthSettings, has_header: bool, origins: Mapping[str, str]) -> Strategy:
    """The strategy that counts: the explicit one, else that of the only complete credential, else `none`.

    `has_header` tells of `engine.authorization` or a password in the address; `origins` says where each value came
    from. Raises `ValueError` with a sentence when credentials are ambiguous or incomplete.
    """
    given = {name for name in auth.__struct_fields__ if getattr(auth, name) is not None}
    if has_header:
        given.add("engine.authorization")
    if auth.strategy is not None:
        missing = _missing(auth.strategy, given)
        if missing:
            raise ValueError(f"auth.strategy is {auth.strategy}, but {_named(missing)} is not set")
        return auth.strategy
    candidates: list[Strategy] = [name for name in get_args(Strategy) if name != "none" and not _missing(name, given)]
    if len(candidates) > 1:
        found = " and ".join(f"{name} ({_origin(name, given, origins)})" for name in candidates)
        raise ValueError(f"more than one credential is given: {found}; choose one with auth.strategy")
    if candidates:
        return candidates[0]
    return _nothing_complete(given, origins)


def _nothing_complete(given: set[str], origins: Mapping[str, str]) -> Strategy:
    for name, groups in _NEEDS.items():
        begun = [option for group in groups for option in group if option in given]
        if begun:
            start, missing = begun[0], _missing(name, given)
            place = origins.get(start, f"auth.{start}")
            raise ValueError(f"{place} is set, but {_named(missing)} is not; set it, or auth.strategy to none")
    return "none"


def _missing(strategy: str, given: set[str]) -> tuple[str, ...]:
    """The first group of options of which none is given."""
    return next((group for group in _NEEDS[strategy] if not given.intersection(group)), ())


def _named(group: tuple[str, ...]) -> str:
    return " or ".join(name if "." in name else f"auth.{name}" for name in group)


def _origin(strategy: str, given: set[str], origins: Mapping[str, str]) -> str:
    first: Any = next(option for option in _NEEDS[strategy][-1] if option in given)
    return origins.get(first, str(first))
