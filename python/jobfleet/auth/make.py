"""From settings to a source of headers."""

from __future__ import annotations

from jobfleet.auth.authorization import Authorization, basic
from jobfleet.auth.sources import Basic, Source, TokenFile
from jobfleet.auth.watched import FixedSecret, SecretText, WatchedFile
from jobfleet.config.auth import AuthSettings, Strategy
from jobfleet.config.engine_url import EngineAddress
from jobfleet.config.model import Settings
from jobfleet.config.secret import Secret
from jobfleet.config.tls import TlsSettings


class Credentials:
    """What a fleet shows its engine: a header for good, or a source of changing ones, or nothing."""

    def __init__(self, name: str, fixed: Authorization | None = None, source: Source | None = None) -> None:
        self.name = name
        self.fixed = fixed
        self.source = source


def credentials_of(
    settings: Settings, strategy: Strategy, engine: EngineAddress, token_proxy: Secret | None = None
) -> Credentials:
    """The credentials that `strategy` names; `token_proxy` is on the way to the token server.

    Raises `ValueError` with a sentence for people.
    """
    auth = settings.auth
    if strategy == "header":
        secret = settings.engine.authorization or engine.authorization
        if secret is None:
            raise ValueError("auth.strategy is header, but engine.authorization is not set")
        return Credentials("header", fixed=Authorization(secret.reveal()))
    if strategy == "basic" and auth.password_file is None and auth.password is not None:
        # Nothing can change, so nothing has to watch.
        name = f"basic, user {auth.username!r}"
        return Credentials(name, fixed=basic(auth.username or "", auth.password.reveal()))
    source = source_of(settings, strategy, token_proxy)
    return Credentials("none" if source is None else source.name, source=source)


def source_of(settings: Settings, strategy: Strategy, token_proxy: Secret | None = None) -> Source | None:
    """The source of a strategy; None for `none`. Raises `ValueError` with a sentence for people."""
    auth = settings.auth
    if strategy == "basic" and auth.username is not None:
        return Basic(auth.username, _secret(auth, "password"))
    if strategy == "token_file" and auth.token_file is not None:
        return TokenFile(WatchedFile(auth.token_file, "the token"))
    if strategy == "provider" and auth.provider is not None:
        from jobfleet.auth.custom import Provided  # noqa: PLC0415

        return Provided(auth.provider)
    if strategy == "oauth" and auth.client_id is not None:
        return _oauth(auth, auth.client_id, settings.engine.tls, token_proxy)
    return None


def _oauth(auth: AuthSettings, client_id: str, tls: TlsSettings, proxy: Secret | None) -> Source:
    from jobfleet.auth.cache import TokenCache  # noqa: PLC0415 - other strategies do without
    from jobfleet.auth.client_credentials import ClientCredentials  # noqa: PLC0415
    from jobfleet.auth.token_request import TokenRequest  # noqa: PLC0415

    request = TokenRequest(
        url=auth.token_url, client_id=client_id, audience=auth.audience, scope=auth.scope, resource=auth.resource
    )
    cache = None
    if auth.cache_dir is not None and auth.cache:
        what = (request.url, client_id, request.audience, request.scope or "", request.resource or "")
        cache = TokenCache(auth.cache_dir, *what)
    return ClientCredentials(request, _secret(auth, "client_secret"), cache, tls, proxy)


def _secret(auth: AuthSettings, name: str) -> SecretText:
    """The secret of the settings, or the file that has it."""
    fixed, file = getattr(auth, name), getattr(auth, f"{name}_file")
    return WatchedFile(file, f"auth.{name}") if fixed is None else FixedSecret(fixed)
