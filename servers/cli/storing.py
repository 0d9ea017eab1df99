"""`clew auth set`: a secret from a person, tried at the provider, kept in the vault."""

import asyncio
import sys
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clew.auth.clients import stored_client
from clew.auth.connections import set_token
from clew.auth.facts import Facts
from clew.auth.oauth import shown_identity
from clew.auth.origins import Place
from clew.auth.schemes import Minted, Typed
from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.errors import ConfigurationError
from clew.core.registry import load
from clew.servers.cli.choices import base_url_of, chosen_place, variables_of, wanted_scopes
from clew.servers.cli.naming import check_account, name_account
from clew.servers.cli.output import ago, emit_json, is_terminal, talk
from clew.servers.cli.prompt import read_secrets
from clew.servers.cli.start import begin, check_name
from clew.servers.settings import Settings
from clew.servers.store import open_store, tenant_here

if TYPE_CHECKING:
    from clew.auth.answers import Grant
    from clew.servers.cli.minted import Held
    from clew.servers.cli.trial import HeldCredential


def set_credential(arguments: Namespace) -> int:
    """Take a secret from the person, try it at the provider, and keep it unless it is refused."""
    settings = begin(http=True, tenant=arguments.tenant)
    from clew.servers.cli.trial import HeldCredential

    check_name(arguments.name)
    connector = load(arguments.name)
    if arguments.account is not None:
        check_account(arguments.account)
    settings = replace(settings, tenant=asyncio.run(tenant_here(settings)))
    scheme = _scheme(connector, arguments.kind)
    place = chosen_place(connector, settings, arguments.origin)
    variables = variables_of(connector, scheme, arguments)
    if scheme.help and is_terminal(sys.stdin) and not arguments.file:
        talk(f"Where to get it: {scheme.help}")
    if isinstance(scheme, Minted):
        result = asyncio.run(_keep_minted(settings, connector, scheme, arguments, variables, place=place))
    else:
        title = connector.title or connector.name
        fields = read_secrets(scheme.fields, what=title, file=arguments.file, spaces=scheme.kind == "basic")
        held = HeldCredential(scheme, fields, variables=variables)
        result = asyncio.run(_keep(settings, connector, held, arguments.account, variables, place=place))
    if arguments.json:
        emit_json(result)
    return 0


async def _keep(
    settings: Settings,
    connector: Connector,
    held: "HeldCredential",
    account: str | None,
    variables: dict[str, str],
    *,
    place: Place,
    minted: "tuple[Held, Grant] | None" = None,
) -> dict[str, Any]:
    from clew.servers.cli.trial import try_credential

    asked_for = Connection(settings.tenant, connector.name, account or "new")
    base_url = base_url_of(connector, place, variables)
    verdict = await try_credential(connector, asked_for, held, base_url=base_url)
    connection = Connection(settings.tenant, connector.name, account or name_account(verdict.identity))
    async with open_store(settings) as store:
        former = [each for each in await store.vault.list(tenant=settings.tenant) if each.connection == connection]
        if isinstance(held.scheme, Minted):
            assert minted is not None
            from clew.servers.cli.minted import facts_of

            facts = facts_of(held.scheme, *minted, verdict.identity, place.origin)
            await store.vault.put(connection, held.fields, facts)
        else:
            await set_token(
                store.vault, connection, held.scheme, held.fields,
                identity=verdict.identity, variables=variables, origin=place.origin,
            )  # fmt: skip
    if former:
        talk(f"This replaces what account {connection.account!r} got {ago(former[0].updated_at)}.")
    if verdict.doubt:
        talk(f"Stored without being tried: {verdict.doubt}. See later: clew auth status {connector.name} --check")
    who = f", known there as {verdict.identity}" if verdict.identity else ""
    talk(f"{connector.title or connector.name}: account {connection.account!r} is connected{who}.")
    return {
        "connector": connector.name,
        "account": connection.account,
        "kind": held.scheme.kind,
        "identity": verdict.identity,
        "tried": verdict.doubt is None,
        "doubt": verdict.doubt,
        "replaced": bool(former),
    }


async def _keep_minted(
    settings: Settings,
    connector: Connector,
    scheme: Minted,
    arguments: Namespace,
    variables: dict[str, str],
    *,
    place: Place,
) -> dict[str, Any]:
    """Ask for a first token with what was given, show it to the provider, and keep both."""
    from clew.servers.cli.minted import Held, first_token, read_material
    from clew.servers.cli.trial import HeldCredential

    secrets, variables = read_material(connector, scheme, arguments, variables)
    asked = wanted_scopes(connector, settings, None) or ()
    facts = Facts(scheme.kind, asked=asked or tuple(scheme.scopes), variables=variables)
    facts = replace(facts, client_id=variables.get("client_id") or scheme.client_id)
    held = Held(Connection(settings.tenant, connector.name, arguments.account or "new"), facts, secrets)
    grant = await first_token(held, scheme, base_url=base_url_of(connector, place, variables))
    known = {**variables, **grant.variables}
    identity = shown_identity(stored_client(held, scheme)) if scheme.certificate_bound else None
    shown = HeldCredential(scheme, {**secrets, **grant.fields()}, identity)
    return await _keep(settings, connector, shown, arguments.account, known, place=place, minted=(held, grant))


def _scheme(connector: Connector, kind: str | None) -> Typed | Minted:
    typed: list[Typed | Minted] = [each for each in connector.schemes if isinstance(each, Typed | Minted)]
    for scheme in typed:
        if kind in (None, scheme.kind):
            return scheme
    if not connector.schemes:
        raise ConfigurationError(f"{connector.name} needs no credential.")
    if not typed:
        raise ConfigurationError(f"{connector.name} is connected in the browser: clew auth login {connector.name}")
    raise ConfigurationError(f"{connector.name} takes no {kind}; it takes {', '.join(each.kind for each in typed)}.")
