"""A small OAuth server with faults, run as a process of its own: `python -m tests.auth.token_server`.

`POST /control` sets members of `State`; `GET /control` shows them. Faults are taken one for each token request.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route


@dataclass
class State:
    """What tests set and look at."""

    secret: str = "s3cret/+="
    expires_in: Any = 3600
    faults: list[str] = field(default_factory=list)
    always: str = ""
    """A fault of every request."""
    engine: str = ""
    """Where issued tokens are made known as the only ones that count."""
    requests: int = 0
    forms: list[dict[str, str]] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)


state = State()
# Requests that hang wait here until the next `POST /control`.
released = asyncio.Event()


async def token(request: Request) -> Response:
    """The token endpoint."""
    form = dict(parse_qsl((await request.body()).decode(), strict_parsing=True))
    state.requests += 1
    state.forms.append(form)
    fault = state.faults.pop(0) if state.faults else state.always
    if fault:
        answer = await _faulty(fault, form)
        if answer is not None:
            return answer
    if form.get("client_secret") != state.secret:
        return JSONResponse({"error": "invalid_client", "error_description": "unknown client or secret"}, 401)
    return JSONResponse(await _issue())


async def _issue() -> dict[str, Any]:
    value = secrets.token_urlsafe(24)
    state.issued.append(value)
    if state.engine:
        async with httpx.AsyncClient() as client:
            accepted = {"require_authorization": [f"Bearer {value}"]}
            (await client.post(f"{state.engine}/local/settings", json=accepted)).raise_for_status()
    answer = {"access_token": value, "token_type": "Bearer", "expires_in": state.expires_in}
    return {name: member for name, member in answer.items() if member is not None}


async def _faulty(fault: str, form: dict[str, str]) -> Response | None:
    """The wrong answer; None for a fault that only delays."""
    echo = " ".join(form.values())
    answers: dict[str, Response] = {
        "500": PlainTextResponse(f"internal error: {echo}", 500),
        "html": HTMLResponse(f"<h1>Log in</h1>{echo}"),
        "redirect": Response(status_code=302, headers={"location": "/login"}),
        "404": PlainTextResponse("no such page", 404),
        "401": JSONResponse({"error": "invalid_client", "error_description": f"bad secret {echo}"}, 401),
        "400": JSONResponse({"error": "invalid_scope"}, 400),
        "429": Response(status_code=429, headers={"retry-after": "7"}),
        "429_date": Response(
            status_code=429,
            headers={"date": "Wed, 01 Jan 2020 00:00:00 GMT", "retry-after": "Wed, 01 Jan 2020 00:00:09 GMT"},
        ),
        "malformed": Response(b'{"access_token": "abc', media_type="application/json"),
        "empty": JSONResponse({"access_token": "", "expires_in": 60}),
        "two_lines": JSONResponse({"access_token": "a\r\nX-Evil: 1", "expires_in": 60}),
        "mac": JSONResponse({"access_token": "abc", "token_type": "mac", "expires_in": 60}),
    }
    if fault == "hang":
        await released.wait()
        return None
    if fault == "drip":
        return StreamingResponse(_drip(), media_type="application/json")
    return answers[fault]


async def _drip() -> AsyncIterator[bytes]:
    with contextlib.suppress(asyncio.CancelledError):
        while not released.is_set():
            yield b" "
            await asyncio.sleep(0.05)


async def control(request: Request) -> Response:
    """Set members of the state; `reset` first makes all of them new."""
    global released  # noqa: PLW0603 - one server, one state
    changes = await request.json()
    released.set()
    released = asyncio.Event()
    if changes.pop("reset", False):
        state.__dict__.update(State().__dict__)
    state.__dict__.update(changes)
    return JSONResponse(asdict(state))


async def look(_: Request) -> Response:
    """Show the state."""
    return JSONResponse(asdict(state))


routes = [
    Route("/token", token, methods=["POST"]),
    Route("/control", control, methods=["POST"]),
    Route("/control", look),
]


def main() -> None:
    """Listen on a free port, and say which."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off", date_header=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
