"""`clew serve`: connectors for a host, over standard input and output or over HTTP."""

import asyncio
import contextlib
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clew.core.errors import ConfigurationError
from clew.core.policy import Decision
from clew.servers.cli.output import is_terminal, talk
from clew.servers.cli.start import begin
from clew.servers.early import settle
from clew.servers.settings import Settings

if TYPE_CHECKING:
    from clew.servers.mailroom import Mailroom
    from clew.servers.runtime import Runtime

_MOST_TOOLS = 300
HTTP_SECONDS = 8.0
_DRAIN_SECONDS, _CUT_SECONDS = 5.0, 2.5
"""How long calls under way may take to end after a signal: by themselves, and then when they are cut off. What a
write came to is recorded either way; with what accepted workflows need to be let go of it stays below 10 s."""


def serve(arguments: Namespace) -> int:
    """Serve until the host closes the pipe or a signal comes: 0, or 130 after Ctrl-C."""
    if not arguments.http and None in (sys.stdin, sys.stdout):
        raise ConfigurationError(
            "standard input or output is closed; an MCP host keeps both open. Use --http HOST:PORT without a host."
        )
    settings = begin(http=True, tracebacks=True, tenant=arguments.tenant)
    if arguments.http:
        from clew.servers.http import parse_address

        parse_address(arguments.http, vouched=bool(settings.http.issuer))
    if arguments.metrics:
        settings = replace(settings, metrics=True)
    stopped, finished = asyncio.run(_serve(settings, arguments))
    code = 130 if stopped == signal.SIGINT else 0
    if not finished:
        # A thread still reads from standard input and would hold the process until the host writes a line.
        sys.stderr.flush()
        os._exit(code)
    return code


async def _serve(settings: Settings, arguments: Namespace) -> tuple[int | None, bool]:
    from clew.servers.budget import warning
    from clew.servers.chores import chores
    from clew.servers.runtime import Runtime

    policy = settings.policy
    if arguments.read_only:
        policy = replace(policy, read_only=True)
    if arguments.allow_writes:
        policy = replace(policy, writes=Decision.ALLOW)
    tools = [name.strip() for name in arguments.tools.split(",") if name.strip()]
    users, account = bool(arguments.http) and settings.http.has_users, arguments.account
    async with (
        Runtime.open(settings, arguments.names, policy=policy, tools=tools, account=account, users=users) as runtime,
        chores(runtime) as mailroom,
    ):
        if not users:
            runtime.tenancy.of()  # no caller brings a tenant, so the server must have one of its own
        runtime.discover = arguments.discover
        if len(runtime.tools) > _MOST_TOOLS and not arguments.discover:
            raise ConfigurationError(
                f"{len(runtime.tools)} tools are more than a host can show: choose with --tools, or use --discover."
            )
        heavy = "" if arguments.discover else warning(bound.tool for bound in runtime.tools.values())
        if heavy:
            talk(f"clew: {heavy}")
        drained = asyncio.Event()
        drain = _drain(runtime, drained)
        if arguments.http:
            serving = _over_http(runtime, arguments.http, mailroom, drained)
            return await until_stopped(serving, seconds=_CUT_SECONDS, cancel=False, drain=drain)
        return await until_stopped(_over_stdio(runtime), seconds=_CUT_SECONDS, cancel=True, drain=drain)


async def _drain(runtime: "Runtime", drained: asyncio.Event) -> None:
    await runtime.drain(_DRAIN_SECONDS)
    drained.set()


async def _over_stdio(runtime: "Runtime") -> None:
    from clew.servers.stdio import serve_stdio

    if is_terminal(sys.stderr) and is_terminal(sys.stdin):
        talk(f"clew: serving {_what(runtime)} on standard input and output, for an MCP host. Ctrl-C stops it.")
    settle()
    await serve_stdio(runtime)


async def _over_http(runtime: "Runtime", address: str, mailroom: "Mailroom", stop: asyncio.Event) -> None:
    from clew.servers.http import serve_http

    def ready(url: str) -> None:
        settle()
        talk(f"clew: serving {_what(runtime)} at {url} - Ctrl-C stops it.")

    await serve_http(runtime, address, ready, more=mailroom.routes, stop=stop)


def _what(runtime: "Runtime") -> str:
    names = ", ".join(connector.name for connector in runtime.connectors)
    return f"{names} ({len(runtime.tools)} tools)"


async def until_stopped(
    serving: Coroutine[Any, Any, None],
    *,
    seconds: float,
    cancel: bool,
    drain: Coroutine[Any, Any, None] | None = None,
) -> tuple[int | None, bool]:
    """Run `serving` until it ends or SIGINT or SIGTERM comes; the signal, and whether `serving` has ended.

    A second signal ends the process at once.
    """
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()

    def stop(number: int) -> None:
        if stopped.done() and not task.done():
            os._exit(128 + number)
        if not stopped.done():
            stopped.set_result(number)

    task = asyncio.create_task(serving)
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, stop, number)
    either: set[asyncio.Future[Any]] = {task, stopped}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if drain is not None and not task.done():
        await drain
    elif drain is not None:
        drain.close()
    if not task.done():
        if cancel:
            task.cancel()
        await asyncio.wait({task}, timeout=seconds)
    if task.done() and not task.cancelled():
        task.result()
    return (stopped.result() if stopped.done() else None), task.done()
