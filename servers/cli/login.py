"""`clew auth login`: the browser gives the consent, the vault gets the grant."""

import asyncio
import os
import secrets
import shlex
import sys
import webbrowser
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clew.auth.advice import tenant_words
from clew.auth.connections import granted, remove, set_identity
from clew.auth.facts import Facts
from clew.auth.schemes import OAuth2
from clew.auth.vault import Vault
from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.errors import AuthRevokedError, ConfigurationError
from clew.core.registry import load
from clew.servers.cli.choices import base_url_of, chosen_place, variables_of, wanted_scopes
from clew.servers.cli.naming import check_account, name_account
from clew.servers.cli.output import ago, duration, emit_json, is_terminal, talk
from clew.servers.cli.start import begin, check_name
from clew.servers.settings import Settings

if TYPE_CHECKING:
    from clew.auth.device import Prompt
    from clew.servers.runtime import Runtime


def log_in(arguments: Namespace) -> int:
    """Log in and store the grant under the account's name, with the scopes that the offered tools need."""
    settings = begin(http=True, tenant=arguments.tenant)
    check_name(arguments.name)
    connector = load(arguments.name)
    if arguments.account is not None:
        check_account(arguments.account)
    try:
        result = asyncio.run(_log_in(settings, connector, arguments))
    finally:
        if arguments.device and is_terminal(sys.stderr):
            talk("")
    if arguments.json:
        emit_json(result)
    return 0


async def _log_in(settings: Settings, connector: Connector, arguments: Namespace) -> dict[str, Any]:
    from clew.servers.runtime import Runtime

    scheme = _scheme(connector)
    place = chosen_place(connector, settings, arguments.origin)
    scopes = wanted_scopes(connector, settings, arguments.scopes)
    variables = variables_of(connector, scheme, arguments)
    # Until the provider has said whose grant it is, it waits under a name that is nobody's.
    account = arguments.account or f"new-{secrets.token_hex(4)}"
    async with Runtime.open(replace(settings, tools=()), [connector.name], tools=list(connector.tools)) as runtime:
        vault, connection = runtime.vault, Connection(runtime.tenancy.of(), connector.name, account)
        since = await _stored_since(vault, connection)
        facts = await _consent(
            vault,
            connection,
            scheme,
            arguments,
            base_url=base_url_of(connector, place, variables),
            origin=place.origin,
            scopes=scopes,
            variables=variables,
        )
        identity = await _identity(runtime, connector, connection) or facts.identity
        if arguments.account is None:
            final = replace(connection, account=name_account(identity))
            since = await _stored_since(vault, final)
            await _move(vault, connection, final, identity)
            connection = final
        elif identity:
            await set_identity(vault, connection, identity)
    if since is not None:
        talk(f"This replaces what account {connection.account!r} got {ago(since)}.")
    who = f", known there as {identity}" if identity else ""
    talk(f"{connector.title or connector.name}: account {connection.account!r} is connected{who}.")
    missing = _explain_scopes(connector, connection, facts)
    return {
        "connector": connector.name,
        "account": connection.account,
        "identity": identity,
        "scopes": list(facts.scopes),
        "missing": missing,
    }


async def _consent(
    vault: Vault,
    connection: Connection,
    scheme: OAuth2,
    arguments: Namespace,
    *,
    base_url: str,
    origin: str,
    scopes: tuple[str, ...] | None,
    variables: dict[str, str],
) -> Facts:
    """The person's consent, by device code or in a browser."""
    if arguments.device:
        from clew.auth.device import device_login

        return await device_login(
            vault, connection, scheme, base_url=base_url, show=_show_code, progress=_count_down,
            scopes=scopes, variables=variables, origin=origin,
        )  # fmt: skip
    from clew.auth.login import login

    return await login(
        vault,
        connection,
        scheme,
        base_url=base_url,
        show=lambda url: _show(url, browser=not arguments.no_browser),
        pasted=_pasted if is_terminal(sys.stdin) else None,
        scopes=scopes,
        variables=variables,
        origin=origin,
    )


def _explain_scopes(connector: Connector, connection: Connection, facts: Facts) -> list[str]:
    """Say what was asked and not granted, and which tools that costs."""
    missing = [scope for scope in facts.asked if scope not in facts.scopes]
    known = granted(facts)
    lamed = sorted(tool.name for tool in connector.tools.values() if tool.lacks(known))
    if lamed:
        talk(f"Not granted: {', '.join(missing) or 'some scopes'}. These tools will refuse: {', '.join(lamed)}.")
        scopes = dict.fromkeys(facts.scopes)
        scopes |= dict.fromkeys(each for tool in connector.tools.values() for each in tool.lacks(known))
        words = ["clew", "auth", "login", connector.name, "--account", connection.account, "--scopes", ",".join(scopes)]
        talk(f"To ask again: {shlex.join([*words, *tenant_words(connection.tenant)])}")
    elif missing:
        talk(f"The provider granted less than was asked, or calls it otherwise. Not named: {', '.join(missing)}.")
    return missing


async def _show_code(prompt: "Prompt") -> None:
    """Print the code and where to type it."""
    talk(f"Open {prompt.url} on any device and enter the code:", "", f"    {prompt.code}", "")
    if prompt.whole_url:
        talk(f"Or open: {prompt.whole_url}")
    talk(f"The code is good for {duration(prompt.seconds)}. Enter it only if you have started this login yourself.")


async def _count_down(left: float) -> None:
    """On a terminal, one line that shows that somebody waits."""
    if is_terminal(sys.stderr):
        print(f"\r\x1b[KWaiting for you to confirm, {duration(left)} left", end="", file=sys.stderr, flush=True)


def _scheme(connector: Connector) -> OAuth2:
    for scheme in connector.schemes:
        if isinstance(scheme, OAuth2):
            return scheme
    raise ConfigurationError(f"{connector.name} has no login; store a credential with: clew auth set {connector.name}")


async def _stored_since(vault: Vault, connection: Connection) -> float | None:
    """When the account got its present credential."""
    stored = await vault.list(tenant=connection.tenant, connector=connection.connector)
    return next((each.updated_at for each in stored if each.connection == connection), None)


async def _identity(runtime: "Runtime", connector: Connector, connection: Connection) -> str | None:
    """What the provider calls the account; a grant that it refuses at once is not kept."""
    from clew.servers.cli.trial import ask_identity

    try:
        verdict = await ask_identity(connector, await runtime.wire(connector, connection.account))
    except AuthRevokedError:
        await remove(runtime.vault, connection)
        raise
    if verdict.doubt:
        talk(f"Nobody could say whose account it is: {verdict.doubt}.")
    return verdict.identity


async def _move(vault: Vault, old: Connection, new: Connection, identity: str | None) -> None:
    """Store the grant under its final name; the old row goes only after the new one is there."""
    record = await vault.get(old)
    assert record is not None
    opened = {name: record.secret(name) for name in record.fields}
    kept = {name: secret for name, secret in opened.items() if secret is not None}
    await vault.put(new, kept, replace(record.facts, identity=identity))
    await remove(vault, old)


async def _show(url: str, *, browser: bool) -> None:
    """Print the address and, where there is a desktop, open it. Text browsers would take over this terminal."""
    desktop = sys.platform in {"darwin", "win32"} or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    opened = browser and desktop and await asyncio.to_thread(webbrowser.open, url)
    talk("Log in with the browser that has just opened; or open this address:" if opened else "Open this address:", url)
    if is_terminal(sys.stdin):
        talk("If the browser runs on another machine, paste the address of the page it ends on here.")


async def _pasted() -> str:
    """The next line from the terminal, without a thread that would outlive the login."""
    loop = asyncio.get_running_loop()
    typed = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), typed.set)
    try:
        while True:
            await typed.wait()
            typed.clear()
            line = sys.stdin.readline()
            if line.strip() or not line:
                return line
    finally:
        loop.remove_reader(sys.stdin.fileno())
