"""Tries an engine with the credentials of the settings, and says in one sentence what is wrong."""

from __future__ import annotations

import asyncio
import enum
import re
import ssl
from typing import Any, Final

import httpx
import msgspec

from jobfleet.auth.authorization import Authorization
from jobfleet.auth.errors import AuthError, Kind, without
from jobfleet.auth.make import Credentials
from jobfleet.auth.network import Cause, explain
from jobfleet.config.secret import Secret

_LIMIT_S: Final = 10.0
# REST endpoints for jobs came with 8.6.
_OLDEST_MINOR: Final = 6
# A type that nobody has: asking for it shows what the credentials may do, and takes nothing from anybody.
_JOB_TYPE: Final = "jobfleet-check"


class Fault(enum.Enum):
    """Where the fault lies."""

    NONE = "none"
    ENGINE = "engine"
    """Something between here and the engine, or the engine itself."""
    CREDENTIALS = "credentials"
    """No credentials to be had, or refused ones."""


class Finding(msgspec.Struct, frozen=True):
    """What came out, and a sentence for people."""

    fault: Fault
    sentence: str


def probe_engine(
    url: str,
    credentials: Credentials,
    tenants: list[str] | None = None,
    verify: ssl.SSLContext | bool = True,
    proxy: Secret | None = None,
) -> Finding:
    """Try `url`, an http or https address without `/v2`. Never raises, never shows a secret."""
    try:
        header = _header(credentials)
    except AuthError as error:
        hint = "" if error.kind is Kind.REJECTED else "; nothing was asked of the engine"
        return Finding(Fault.CREDENTIALS, error.message + hint)
    headers = {"accept": "application/json"} | ({"authorization": header.value} if header else {})
    secret = header.value.partition(" ")[2] if header else None
    try:
        through = proxy.reveal() if proxy else None
        with httpx.Client(
            base_url=url, headers=headers, timeout=_LIMIT_S, verify=verify, proxy=through, trust_env=False
        ) as client:
            finding = _topology(client, url, credentials, tenants)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        cause, sentence = explain(error, url)
        finding = Finding(Fault.ENGINE, sentence + _remedy(cause))
    life = "" if header is None or header.expires_in_s is None else f", good for {header.expires_in_s:.0f} s"
    sentence = finding.sentence + (life if finding.fault is Fault.NONE else "")
    return Finding(finding.fault, without(sentence, secret))


def _header(credentials: Credentials) -> Authorization | None:
    if credentials.source is not None:
        return asyncio.run(credentials.source.get(None))
    return credentials.fixed


def _topology(client: httpx.Client, url: str, credentials: Credentials, tenants: list[str] | None) -> Finding:
    answer = client.get("/v2/topology")
    if answer.status_code == 200:
        version = _version(answer)
        if version is None:
            return _stranger(answer, url)
        minor = re.match(r"8\.(\d+)", version)
        if minor is None or int(minor[1]) < _OLDEST_MINOR:
            return Finding(
                Fault.ENGINE, f"{url} is Camunda {version}, which jobfleet cannot work with; it needs 8.6 or newer"
            )
    elif answer.status_code == 403:
        # Some clusters keep the topology from workers; jobs may be open to them all the same.
        version = "of a version that the credentials may not read"
    else:
        return _refusal(answer, url, credentials)
    body: dict[str, Any] = {"type": _JOB_TYPE, "maxJobsToActivate": 1, "timeout": 1000, "requestTimeout": -1}
    if tenants:
        body["tenantIds"] = tenants
    answer = client.post("/v2/jobs/activation", json=body)
    if answer.status_code == 200:
        return Finding(Fault.NONE, f"{url} is Camunda {version}; credentials: {credentials.name}")
    return _refusal(answer, url, credentials)


def _version(answer: httpx.Response) -> str | None:
    try:
        document = msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    version = document.get("gatewayVersion") if isinstance(document, dict) else None
    return version if isinstance(version, str) and version else None


def _refusal(answer: httpx.Response, url: str, credentials: Credentials) -> Finding:
    status, path = answer.status_code, answer.request.url.path
    if status in (401, 403):
        return Finding(Fault.CREDENTIALS, _refused_credentials(answer, url, credentials))
    if 300 <= status < 400 or (status < 500 and status not in (404, 405, 407) and _kind(answer) == "text/html"):
        return _stranger(answer, url)
    if status in (404, 405):
        sentence = (
            f"{url} has no Camunda REST API (8.6 or newer) at this path: {path} answers HTTP {status} with "
            f"{_kind(answer)}; check the address, and the proxies before it"
        )
    elif status == 407:
        sentence = f"the proxy before {url} wants credentials of its own (HTTP 407)"
    else:
        sentence = f"{url} answers {path} with HTTP {status}{_words(answer)}"
    return Finding(Fault.ENGINE, sentence)


def _refused_credentials(answer: httpx.Response, url: str, credentials: Credentials) -> str:
    if answer.status_code == 401:
        if credentials.fixed is None and credentials.source is None:
            return f"{url} wants credentials and none are set (HTTP 401)"
        return f"{url} refuses the credentials ({credentials.name}, HTTP 401): check them, and the token's audience"
    return f"{url} knows the credentials ({credentials.name}), which may not activate jobs (HTTP 403{_words(answer)})"


def _stranger(answer: httpx.Response, url: str) -> Finding:
    place = "redirects elsewhere" if answer.is_redirect else f"answers with {_kind(answer)}"
    return Finding(
        Fault.ENGINE,
        f"{url} {place} (HTTP {answer.status_code}): this is not Camunda's REST API, perhaps a login page; "
        "check the address, and the proxies before it",
    )


def _kind(answer: httpx.Response) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip() or "nothing"


def _words(answer: httpx.Response) -> str:
    """The engine's own words, where it has some."""
    if _kind(answer) != "application/problem+json":
        return ""
    try:
        problem = msgspec.json.decode(answer.content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return "".join(f": {problem[name]}" for name in ("title", "detail") if isinstance(problem.get(name), str))


def _remedy(cause: Cause) -> str:
    return {
        Cause.DNS: "; check the host in the engine's address",
        Cause.REFUSED: "; check the port, and whether the engine runs",
        Cause.TIMEOUT: "; a firewall may drop what is sent there",
        Cause.PROTOCOL: "; check the port: Camunda's gRPC port (26500) is another one than that of its REST API",
        Cause.TLS: "; check the engine's certificate, and whether the port speaks https",
    }.get(cause, "")
