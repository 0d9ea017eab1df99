"""`clew call`: one tool, called by a person."""

import asyncio
import difflib
import os
import shlex
import signal
import sys
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from clew.core.audit import Origin
from clew.core.connector import Connector, Effect, Tool
from clew.core.errors import ApprovalRequiredError, ConfigurationError, DeniedError
from clew.core.host import Question
from clew.core.registry import load
from clew.servers.cli.arguments import read_arguments
from clew.servers.cli.output import emit_json, is_terminal, talk
from clew.servers.cli.person import local_person
from clew.servers.cli.start import begin
from clew.servers.settings import Settings

_PATIENCE = 600.0
"""Seconds for a call that asks a person first: their time to think counts."""


class TerminalHost:
    """Asks the person at the terminal."""

    own = True

    def __init__(self) -> None:
        self.interrupted = False
        """The person answered with Ctrl-C."""

    @property
    def asks(self) -> bool:
        """Only on a terminal."""
        return is_terminal(sys.stdin) and is_terminal(sys.stderr)

    @property
    def who(self) -> str:
        """The user of this machine."""
        return local_person()

    @property
    def session(self) -> str:
        """One process, one call."""
        return "terminal"

    async def confirm(self, question: Question) -> bool:
        """Show the preview and ask; anything but a yes is a no, and so is Ctrl-C at any moment of it. Raises
        `ApprovalRequiredError` without a terminal."""
        if not self.asks:
            raise ApprovalRequiredError(
                f"{question.tool} cannot be taken back and needs a person's yes, and this is not a terminal.",
                next_step="Run the same command on a terminal. There is no option that says yes beforehand.",
            )
        talk(question.text)
        print("Go ahead? [y/N] ", end="", file=sys.stderr, flush=True)
        try:
            answer = await _line_of_terminal()
            if not answer.endswith("\n"):
                talk("")
            await asyncio.sleep(0)  # a Ctrl-C that was noted while the question was shown or the answer read comes here
            return answer.strip().lower() in {"y", "yes"}
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            self.interrupted = True
            talk("")
            return False

    async def progress(self, message: str) -> None:
        """Say what the call waits for."""
        talk(f"clew: {message}")


async def _line_of_terminal() -> str:
    """What the person types, up to the end of the line, or of the input. The event loop goes on meanwhile: its handler
    of Ctrl-C only cancels the task, and a read that blocks would never hear of it."""
    loop = asyncio.get_running_loop()
    terminal, ready = sys.stdin.fileno(), asyncio.Event()
    try:
        loop.add_reader(terminal, ready.set)
    except NotImplementedError:  # Windows
        return _blocking_line()
    typed = b""
    try:
        while not typed.endswith(b"\n"):
            await ready.wait()
            ready.clear()
            more = os.read(terminal, 4096)
            if not more:
                break
            typed += more
    finally:
        loop.remove_reader(terminal)
    return typed.decode(errors="replace")


def _blocking_line() -> str:
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return sys.stdin.readline()
    finally:
        signal.signal(signal.SIGINT, former)


def call(arguments: Namespace) -> int:
    """Call the tool and print its result as JSON."""
    settings = begin(http=True, tenant=arguments.tenant)
    connector = load(arguments.connector)
    tool = find_tool(connector, arguments.tool)
    if settings.read_only and tool.effect is not Effect.READ:
        where = settings.sources.get("read_only", "the configuration")
        raise ConfigurationError(f"{tool.name} changes something, and {where} says read_only.")
    if arguments.deadline is not None and not 0 < arguments.deadline <= 600:
        raise ConfigurationError(f"--deadline must be more than 0 and at most 600 seconds, not {arguments.deadline:g}.")
    given = read_arguments(tool, arguments.pairs, arguments.arguments)
    tool.signature.check(given)
    host = TerminalHost()
    try:
        result = asyncio.run(_call(settings, arguments, tool, given, host))
    except DeniedError:
        if not host.interrupted:
            raise
        talk(f"Interrupted. {tool.name} was not done.")
        raise KeyboardInterrupt from None
    emit_json(result, indent=None if arguments.json else 2)
    cursor = result.get("next_cursor")
    if cursor and not arguments.json:
        talk(f"There is more: add cursor={shlex.quote(str(cursor))}")
    return 0


async def _call(
    settings: Settings, arguments: Namespace, tool: Tool, given: Mapping[str, Any], host: TerminalHost
) -> Mapping[str, Any]:
    from clew.servers.runtime import Runtime

    deadline = arguments.deadline or (_PATIENCE if tool.effect is Effect.DESTRUCTIVE else None)
    try:
        async with Runtime.open(
            settings, [arguments.connector], tools=[tool.name], account=arguments.account
        ) as runtime:
            origin = Origin(caller="a person at a terminal", task=arguments.task)
            return await runtime.call(tool.name, given, host=host, deadline=deadline, origin=origin)
    except asyncio.CancelledError:
        if tool.effect is not Effect.READ:
            talk(f"Interrupted. {tool.name} may have happened: look before you repeat it.")
        raise


def find_tool(connector: Connector, name: str) -> Tool:
    """The tool of this name. Raises `ConfigurationError` with the nearest ones."""
    if name in connector.tools:
        return connector.tools[name]
    near = difflib.get_close_matches(name, connector.tools, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"'clew show {connector.name}' lists them."
    raise ConfigurationError(f"{connector.name} has no tool {name[:40]!r}. {hint}")
