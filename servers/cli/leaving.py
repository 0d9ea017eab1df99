"""`clew auth logout` and `clew auth revoke --all`: the provider is told before the credential is forgotten."""

import asyncio
import shlex
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence

import httpx

from clew.auth.advice import tenant_words
from clew.auth.clients import is_app
from clew.auth.leases import Leases, open_leases
from clew.auth.revocation import Ending, Told
from clew.auth.vault import Summary, Vault
from clew.core.credentials import Scheme
from clew.core.errors import ClewError, ConfigurationError
from clew.core.registry import load
from clew.servers.cli.output import Cell, emit_json, is_terminal, table, talk
from clew.servers.cli.start import begin, check_name
from clew.servers.settings import Settings
from clew.servers.store import open_store
from clew.servers.tenancy import chosen_tenant


def log_out(arguments: Namespace) -> int:
    """End one account: 1 when the provider could not be told and may be told later, or a newer login is still there."""
    settings = begin(http=True, tenant=arguments.tenant)
    ending = asyncio.run(_log_out(settings, arguments.name, arguments.account))
    _tell(ending)
    if arguments.json:
        emit_json(ending.as_dict())
    return 1 if _stays(ending) else 0


def _stays(ending: Ending) -> bool:
    """Is there something left that works?"""
    return ending.told == "failed" or ending.newer


async def _log_out(settings: Settings, name: str, account: str | None) -> Ending:
    async with open_store(settings) as store, httpx.AsyncClient(follow_redirects=False) as http:
        stored = await store.vault.list(tenant=await chosen_tenant(settings, store.vault), connector=name)
        if not stored:
            check_name(name)
        chosen = _chosen(name, stored, account)
        return await _end(store.vault, await open_leases(store.database), settings, chosen, http)


def _chosen(name: str, stored: Sequence[Summary], account: str | None) -> Summary:
    names = ", ".join(each.connection.account for each in stored)
    found = [each for each in stored if account in (None, each.connection.account)]
    if len(found) == 1:
        return found[0]
    if not stored:
        raise ConfigurationError(f"no account of {name} is connected; there is nothing to log out of.")
    if not found:
        raise ConfigurationError(f"{name} has no account {account!r}. There are: {names}.")
    raise ConfigurationError(f"{name} has several accounts: {names}. Choose one with --account.")


async def _end(vault: Vault, leases: Leases, settings: Settings, known: Summary, http: httpx.AsyncClient) -> Ending:
    from clew.auth import revocation

    name = known.connection.connector
    try:
        schemes, base_url = _place(settings, known)
        return await revocation.log_out(vault, leases, known.connection, schemes, http, base_url=base_url)
    except ClewError as error:
        return Ending(known.connection, "failed", forgotten=False, why=f"{name}: {error}")


def _place(settings: Settings, known: Summary) -> tuple[Sequence[Scheme], str]:
    """The connector's schemes and address; a connector that is gone can tell its provider nothing."""
    name = known.connection.connector
    try:
        connector = load(name)
    except ClewError:
        return (), "https://unknown.invalid"
    place = settings.place(name, connector.base_url)
    return connector.schemes, place.url(connector.schemes, known.connection, known.facts)


_WORDS: Mapping[Told, str] = {
    "revoked": "revoked",
    "gone": "was revoked already",
    "impossible": "forgotten, not revoked",
    "failed": "not revoked",
}


def _tell(ending: Ending) -> None:
    where = ending.connection
    who = str(where)
    match ending.told:
        case told if ending.newer:
            talk(f"{who}: {_WORDS[told]}, but {ending.why}. Run the same command again to end that one, too.")
        case "revoked":
            talk(f"{who}: revoked at the provider and forgotten here.")
        case "gone":
            talk(f"{who}: the provider knew it no more; it is forgotten here.")
        case "impossible":
            talk(f"{who}: forgotten here, but not revoked: {ending.why}.")
        case "failed":
            talk(f"{who}: not revoked: {ending.why}. It is kept, so that you can try again.")
            words = ["clew", "auth", "remove", where.connector, "--account", where.account]
            again = shlex.join([*words, *tenant_words(where.tenant)])
            talk(f"To forget it nevertheless: {again}")
    if ending.told in ("revoked", "gone") and ending.why and not ending.newer:
        talk(f"{who}: {ending.why}.")
    if ending.siblings:
        talk(f"The same grant stands behind: {', '.join(ending.siblings)}. They have to log in again.")


def revoke_all(arguments: Namespace) -> int:
    """The kill switch: everything is revoked, with a result per credential; 1 when something could not be."""
    settings = begin(http=True, tenant=arguments.tenant)
    endings = asyncio.run(_revoke_all(settings, arguments))
    if arguments.json:
        emit_json([each.as_dict() for each in endings])
    elif endings:
        table(("CONNECTOR", "ACCOUNT", "RESULT"), [_row(each) for each in endings])
    else:
        talk("No credential is stored; there is nothing to revoke.")
    failed = [each for each in endings if _stays(each)]
    if failed:
        talk(f"{len(failed)} of {len(endings)} could not be revoked and are kept. Run the same command again.")
    return 1 if failed else 0


async def _revoke_all(settings: Settings, arguments: Namespace) -> list[Ending]:
    async with open_store(settings) as store, httpx.AsyncClient(follow_redirects=False) as http:
        tenant = await chosen_tenant(settings, store.vault)
        stored = await store.vault.list(tenant=tenant, connector=arguments.connector)
        chosen = [each for each in stored if not is_app(each.connection)]
        if not chosen or not _agreed(chosen, asked=not arguments.yes):
            return []
        leases = await open_leases(store.database)
        return list(await asyncio.gather(*(_end(store.vault, leases, settings, each, http) for each in chosen)))


def _agreed(chosen: Sequence[Summary], *, asked: bool) -> bool:
    """A person's yes, typed in full: nothing of this can be taken back."""
    if not asked:
        return True
    if not is_terminal(sys.stdin):
        raise ConfigurationError("revoking everything wants a person's yes: run it on a terminal, or add --yes.")
    talk(f"This revokes {len(chosen)} credentials at their providers. It cannot be taken back:")
    talk(*(f"  {each.connection} {each.facts.identity or ''}".rstrip() for each in chosen))
    talk("Type 'revoke' to go on:")
    if sys.stdin.readline().strip() == "revoke":
        return True
    raise ConfigurationError("nothing was revoked.")


def _row(ending: Ending) -> list[str | Cell]:
    first = [ending.connection.connector, ending.connection.account]
    if ending.told == "failed":
        return [*first, Cell(f"NOT revoked: {ending.why}", "red")]
    why = f": {ending.why}" if ending.why else ""
    return [*first, Cell(f"{_WORDS[ending.told]}{why}", "yellow") if why else _WORDS[ending.told]]
