"""OAuth as a source of headers: the token server behind the token cache."""

from __future__ import annotations

import time

from jobfleet.auth.authorization import Authorization, bearer
from jobfleet.auth.background import in_background
from jobfleet.auth.cache import TokenCache
from jobfleet.auth.errors import AuthError, Kind
from jobfleet.auth.token_request import TokenRequest
from jobfleet.auth.watched import SecretText, WatchedFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobfleet.auth.oauth import Token
    from jobfleet.config.secret import Secret
    from jobfleet.config.tls import TlsSettings

# The token request has its own limit, after up to as long a wait for another fleet that asks for the same token.
_LIMIT_S = 45.0


class ClientCredentials:
    """Fetches tokens for one client."""

    def __init__(
        self,
        request: TokenRequest,
        secret: SecretText,
        cache: TokenCache | None,
        tls: TlsSettings | None = None,
        proxy: Secret | None = None,
    ) -> None:
        """`tls` says whom to trust, beside the system's authorities, and has the client's own certificate."""
        self._request = request
        self._secret = secret
        self._cache = cache
        self._tls = tls
        self._proxy = proxy
        self.name = f"oauth, client {request.client_id!r}"
        self.watches = isinstance(secret, WatchedFile)

    async def get(self, present: str | None) -> Authorization:
        """A token: of the cache, if another fleet or an earlier run has left a good one there."""
        try:
            token = await in_background(lambda: self._get(present), _LIMIT_S)
        except TimeoutError:
            raise AuthError(Kind.OUTAGE, "no token: the token server does not answer in time") from None
        header = bearer(token.value)
        header.expires_in_s = token.expires_in_s
        return header

    def has_changed(self) -> bool:
        """Whether the file of the secret was replaced."""
        return self._secret.has_changed()

    def complaint(self) -> str | None:
        """What is wrong with the cache."""
        return self._cache.complaint if self._cache else None

    def _get(self, present: str | None) -> Token:
        if self._cache is None:
            return self._fetch()
        with self._cache.lock():
            cached = self._cached(self._cache, present)
            if cached is not None:
                return cached
            token = self._fetch()
            self._cache.store(token.value, token.expires_in_s)
            return token

    def _fetch(self) -> Token:
        from jobfleet.auth.oauth import fetch_token  # noqa: PLC0415 - brings httpx, which only OAuth needs
        from jobfleet.config.tls_context import client_context  # noqa: PLC0415

        try:
            verify = client_context(self._tls) if self._tls else True
        except ValueError as error:
            raise AuthError(Kind.OUTAGE, f"no token: {error}") from None
        return fetch_token(self._request, self._secret.read(), verify, self._proxy)

    def _cached(self, cache: TokenCache, present: str | None) -> Token | None:
        """The cached token, unless it is the one that has to be replaced."""
        from jobfleet.auth.oauth import Token  # noqa: PLC0415

        cached = cache.load()
        if cached is None or f"Bearer {cached.access_token}" == present:
            return None
        return Token(cached.access_token, cached.left_s(time.time()))
