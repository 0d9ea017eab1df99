"""`clew auth status --check`: every stored credential shown to its provider."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

from clew.auth.advice import connect_command
from clew.auth.connections import Status, set_identity
from clew.auth.vault import StaleRecordError
from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.errors import AuthRevokedError, CallError, ClewError
from clew.core.registry import load
from clew.servers.cli.trial import Verdict, ask_identity
from clew.servers.runtime import Runtime
from clew.servers.settings import Settings
from clew.servers.store import stored_status


async def check_all(settings: Settings, name: str | None) -> list[dict[str, Any]]:
    """The lines of `auth status` after asking each provider; `check` is `ok`, or why nobody knows."""
    before = await stored_status(settings, name)
    loaded = {each: _loaded(each) for each in {status.connector for status in before}}
    names = [each for each, found in loaded.items() if isinstance(found, Connector)]
    checks: dict[tuple[str, str], str] = {}
    # The tools an operator chose for serving say nothing about which credentials to look at.
    async with Runtime.open(replace(settings, tools=()), names) as runtime:
        answers = await asyncio.gather(*(_check(runtime, loaded[each.connector], each) for each in before))
        for status, answer in zip(before, answers, strict=True):
            checks[status.connector, status.account] = answer
    after = await stored_status(settings, name)
    return [_line(each, checks.get((each.connector, each.account))) for each in after]


def _loaded(name: str) -> Connector | str:
    try:
        return load(name)
    except ClewError as error:
        return str(error).rstrip(".")


async def _check(runtime: Runtime, connector: Connector | str, status: Status) -> str:
    if isinstance(connector, str):
        return connector
    try:
        verdict = await ask_identity(connector, await runtime.wire(connector, status.account))
    except AuthRevokedError:
        return "refused"
    except ClewError as error:
        return str(error).rstrip(".")
    await _note(runtime, status, verdict)
    return verdict.doubt or "ok"


async def _note(runtime: Runtime, status: Status, verdict: Verdict) -> None:
    """Keep what the provider calls the account, when that is news."""
    if verdict.identity and verdict.identity != status.identity:
        with suppress(StaleRecordError, CallError):
            connection = Connection(status.tenant, status.connector, status.account)
            await set_identity(runtime.vault, connection, verdict.identity)


def _line(status: Status, check: str | None) -> dict[str, Any]:
    line = status.as_dict() | {"check": check}
    if check == "refused" and status.state == "ready":
        again = connect_command(status.kind, status.connector, status.account, status.tenant)
        return line | {"state": "refused", "next_step": again}
    return line
