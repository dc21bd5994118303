"""OAuth 2 client credentials (RFC 6749, section 4.4): one token request, and what its answer means."""

from __future__ import annotations

import math
import time
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import msgspec

from jobfleet.auth.errors import AuthError, Kind, without
from jobfleet.auth.network import Cause, explain
from jobfleet.auth.token_request import TokenRequest
from jobfleet.config.proxy import shown_proxy
from jobfleet.config.secret import Secret

_CONNECT_S: Final = 5.0
_READ_S: Final = 10.0
# The whole request; a server may drip for ever.
REQUEST_LIMIT_S: Final = 20.0
_LARGEST_BYTES: Final = 256 * 1024
_LONGEST_WORDS: Final = 300
# What RFC 6749 leaves to the server when it does not say.
_UNSAID_LIFE_S: Final = 300.0


class Token(msgspec.Struct, frozen=True):
    """A token as issued."""

    value: str
    expires_in_s: float


def fetch_token(request: TokenRequest, secret: str, verify: Any = True, proxy: Secret | None = None) -> Token:
    """Ask once, through `proxy` and no other. Blocks, so it belongs into a thread.

    Raises `AuthError`, which never shows the secret.
    """
    form = {"grant_type": "client_credentials", "client_id": request.client_id, "client_secret": secret}
    more = {"audience": request.audience, "scope": request.scope, "resource": request.resource}
    form |= {name: value for name, value in more.items() if value}
    timeout = httpx.Timeout(_READ_S, connect=_CONNECT_S)
    through = proxy.reveal() if proxy else None
    try:
        with (
            # The settings have taken in what the environment says.
            httpx.Client(timeout=timeout, verify=verify, proxy=through, trust_env=False) as client,
            client.stream("POST", request.url, data=form, headers={"accept": "application/json"}) as answer,
        ):
            body = _read(answer, time.monotonic() + REQUEST_LIMIT_S)
            return _judge(answer, body, request, secret)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        sentence = _explain(error, request, proxy)
        raise AuthError(Kind.OUTAGE, without(f"no token: {sentence}", secret)) from None


def _explain(error: Exception, request: TokenRequest, proxy: Secret | None) -> str:
    """What stood in the way: the server, or the proxy before it."""
    cause, sentence = explain(error, request.url)
    if proxy is None:
        return sentence
    if cause in (Cause.DNS, Cause.REFUSED):
        return f"the proxy cannot be reached: {explain(error, f'http://{shown_proxy(proxy)}')[1]}"
    if isinstance(error, httpx.ProxyError):
        return f"the proxy {shown_proxy(proxy)} does not connect to {_place(request)}: {error}"
    return sentence


def _read(answer: httpx.Response, deadline: float) -> bytes:
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > _LARGEST_BYTES or time.monotonic() > deadline:
            raise TimeoutError
    return bytes(body)


def _judge(answer: httpx.Response, body: bytes, request: TokenRequest, secret: str) -> Token:
    document = _document(body)
    status = answer.status_code
    if status == 200 and document is not None:
        return _token(document, request)
    words = _words(document, secret)
    rejected = status in (401, 403) or (status == 400 and bool(words))
    if rejected:
        why = f": {words}" if words else ""
        raise AuthError(
            Kind.REJECTED,
            f"the token server {_place(request)} rejects the client {request.client_id!r} (HTTP {status}){why}; "
            "check client id, secret, audience and scope",
        )
    if status == 407:
        raise AuthError(Kind.OUTAGE, f"the proxy before {_place(request)} wants credentials of its own (HTTP 407)")
    if status in (429, 503):
        raise AuthError(Kind.BUSY, f"the token server {_place(request)} is busy (HTTP {status})", _patience(answer))
    if status >= 500:
        raise AuthError(Kind.OUTAGE, f"the token server {_place(request)} fails (HTTP {status})")
    kind = answer.headers.get("content-type", "").partition(";")[0] or "nothing"
    raise AuthError(
        Kind.OUTAGE,
        f"the token server {_place(request)} answers HTTP {status} with {kind} instead of a token; "
        "check auth.token_url",
    )


def _document(body: bytes) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _token(document: dict[str, Any], request: TokenRequest) -> Token:
    value = document.get("access_token")
    if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable() or " " in value:
        raise AuthError(Kind.OUTAGE, f"the token server {_place(request)} answers without a usable access_token")
    kind = document.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise AuthError(Kind.OUTAGE, f"the token server {_place(request)} issues tokens of another type than Bearer")
    return Token(value, _life(document.get("expires_in")))


def _life(value: object) -> float:
    try:
        life_s = float(value) if isinstance(value, int | float | str) else _UNSAID_LIFE_S
    except ValueError:
        return _UNSAID_LIFE_S
    # Nothing lasts longer than a day without a look.
    return _UNSAID_LIFE_S if math.isnan(life_s) else min(max(life_s, 0.0), 86_400.0)


def _words(document: dict[str, Any] | None, secret: str) -> str:
    """The server's own reason, cut and without the secret."""
    parts = [(document or {}).get(name) for name in ("error", "error_description")]
    text = " - ".join(part for part in parts if isinstance(part, str))
    return without("".join(char if char.isprintable() else " " for char in text), secret)[:_LONGEST_WORDS]


def _patience(answer: httpx.Response) -> float | None:
    """Seconds of `Retry-After`. A date in it is compared with the server's own clock, never with ours."""
    value = answer.headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(answer.headers.get("date", ""))
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError):
        return None


def _place(request: TokenRequest) -> str:
    url = httpx.URL(request.url)
    return f"{url.scheme}://{url.host}{f':{url.port}' if url.port else ''}{url.path}"
