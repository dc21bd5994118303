"""Makes a fleet out of settings and runs it to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Mapping

import msgspec

from jobfleet._core import Core, LocalEngine
from jobfleet.auth.make import credentials_of
from jobfleet.config.engine_url import EngineAddress, parse_engine_url
from jobfleet.config.load import Loaded
from jobfleet.config.model import PoolPlan
from jobfleet.config.proxy import shown_proxy
from jobfleet.supervisor.apiserver import ApiServer
from jobfleet.supervisor.controlsocket import ControlSocket, SocketInUse, SocketUnusable, default_path
from jobfleet.supervisor.core import core_settings
from jobfleet.supervisor.exits import ExitCode
from jobfleet.supervisor.fleet import Fleet, Setup
from jobfleet.supervisor.hangup import EarlyHangup
from jobfleet.supervisor.log import Level, Log
from jobfleet.supervisor.notify import Notifier
from jobfleet.supervisor.process import refuse_dumps
from jobfleet.supervisor.seed import Seed
from jobfleet.supervisor.spawn import Spawned


def serve(
    loaded: Loaded,
    plans: list[PoolPlan],
    zygotes: list[Spawned],
    environ: Mapping[str, str],
    reread: Callable[[], tuple[Loaded, list[PoolPlan]]],
    *,
    seed: Seed,
    hangup: EarlyHangup,
) -> ExitCode:
    """Run a fleet until it has drained. `zygotes` were asked to load the pools' handlers, one for each plan,
    and were forked from `seed`.

    `reread` reads the settings anew for a reload; `hangup` has noted a wish for one so far.
    """
    settings = loaded.settings
    log = Log(settings.log_format, least=settings.log_level)
    _forward_logging(log)
    with contextlib.ExitStack() as stack:
        stack.callback(log.close)
        try:
            control = ControlSocket(settings.socket or default_path(settings.name))
        except SocketUnusable as error:
            log.error(str(error))
            return ExitCode.SOCKET_IN_USE if isinstance(error, SocketInUse) else ExitCode.FAILED
        stack.callback(control.close)
        for note in loaded.notes:
            log.warning(note)
        files = [file for file in (loaded.file, loaded.env_file) if file]
        for file in files:
            log.info(f"settings from {file}")
        try:
            engine = _engine(settings.engine.url, log, stack)
            if settings.engine.proxy is not None:
                log.info(f"requests to the engine go through the proxy {shown_proxy(settings.engine.proxy)}")
        except OSError as error:
            log.error(f"the local engine cannot be started: {error}")
            return ExitCode.ENGINE
        try:
            credentials = credentials_of(settings, loaded.strategy, engine, loaded.token_proxy)
        except ValueError as error:
            log.error(str(error))
            return ExitCode.SETTINGS
        try:
            core = Core(core_settings(settings, engine, socket.gethostname(), credentials))
        except ValueError as error:
            log.error(f"the core refuses its settings: {error}")
            return ExitCode.SETTINGS
        if not settings.dumpable:
            refuse_dumps()
        setup = Setup(
            settings=settings,
            plans=plans,
            engine=engine,
            credentials=credentials,
            core=core,
            log=log,
            notifier=Notifier(environ),
            spawn=seed.spawn,
            socket_path=control.path,
            settings_files=files,
            reread=reread,
            hangup=hangup,
            seed=seed,
        )
        return asyncio.run(_run(setup, control, zygotes))


async def _run(setup: Setup, control: ControlSocket, zygotes: list[Spawned]) -> ExitCode:
    fleet = Fleet(setup)
    server = ApiServer(control, fleet, setup.log)
    server.start()
    try:
        return await fleet.run(zygotes)
    finally:
        server.close()


def _engine(url: str | None, log: Log, stack: contextlib.ExitStack) -> EngineAddress:
    """The engine of the settings, or the embedded one. Raises `OSError` when that cannot listen."""
    if url is not None:
        return parse_engine_url(url)
    local = LocalEngine(msgspec.json.encode({"host": "127.0.0.1", "port": 0}))
    stack.callback(local.stop)
    address = EngineAddress("camunda", f"http://127.0.0.1:{local.port}", None)
    log.info(f"no engine is set: an embedded local engine listens on {address.url}")
    return address


class _Forward(logging.Handler):
    """Hands the records of libraries to the fleet's log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        self._log.line(Level.of(record.levelno), record.name, text, {}, self._log.account)


def _forward_logging(log: Log) -> None:
    root = logging.getLogger()
    root.handlers = [_Forward(log)]
    root.setLevel(logging.WARNING)
