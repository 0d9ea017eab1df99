"""`clew auth export` and `clew auth import`: connected accounts in an encrypted file."""

import asyncio
import os
import secrets
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from clew.core.errors import ConfigurationError
from clew.core.secret import Secret
from clew.servers.cli.output import emit_json, is_terminal, talk
from clew.servers.cli.prompt import read_secrets
from clew.servers.cli.start import begin
from clew.servers.settings import Settings
from clew.servers.store import open_store, stored_status
from clew.servers.tenancy import chosen_tenant

if TYPE_CHECKING:
    from clew.auth.bundle import Moved

FAILED = 1


def export_file(arguments: Namespace) -> int:
    """Write every connected account of this machine to a new private file; 1 when one of them is damaged."""
    settings, file = begin(tenant=arguments.tenant), Path(arguments.bundle)
    if file.exists() and not arguments.replace:
        raise ConfigurationError(f"{file} exists: choose another name, or give --replace.")
    if not asyncio.run(stored_status(settings)):
        raise ConfigurationError("no account is connected; there is nothing to export.")
    passphrase = _passphrase(arguments.passphrase_file, twice=True)
    content, moved = asyncio.run(_export(settings, passphrase))
    _write(file, content)
    _tell(moved, arguments)
    if any(each.renewable for each in moved):
        talk("Logins that are renewed belong to one vault: when two use the same one, providers may end it.")
    return FAILED if any(each.did == "damaged" for each in moved) else 0


def import_file(arguments: Namespace) -> int:
    """Store the accounts of a bundle; those that are connected already stay unless --replace is given."""
    from clew.auth.bundle import LARGEST

    settings, file = begin(tenant=arguments.tenant), Path(arguments.bundle)
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from None
    if len(content) > LARGEST:
        raise ConfigurationError(f"{file} is larger than any bundle.")
    passphrase = _passphrase(arguments.passphrase_file, twice=False)
    moved = asyncio.run(_import(settings, content, passphrase, replace_existing=arguments.replace))
    _tell(moved, arguments)
    if any(each.did == "kept" for each in moved):
        talk("What was connected already is as it was; --replace takes the bundle's instead.")
    return 0


async def _export(settings: Settings, passphrase: Secret) -> "tuple[bytes, list[Moved]]":
    from clew.auth.bundle import export_bundle

    async with open_store(settings) as store:
        return await export_bundle(store.vault, passphrase, tenant=await chosen_tenant(settings, store.vault))


async def _import(settings: Settings, content: bytes, passphrase: Secret, *, replace_existing: bool) -> "list[Moved]":
    from clew.auth.bundle import import_bundle

    async with open_store(settings) as store:
        tenant = await chosen_tenant(settings, store.vault)
        return await import_bundle(store.vault, content, passphrase, tenant=tenant, replace_existing=replace_existing)


def _passphrase(file: str | None, *, twice: bool) -> Secret:
    from clew.auth.bundle import check_passphrase

    def ask(name: str) -> Secret:
        return read_secrets([name], what="bundle", file=file, spaces=True)[name]

    given = ask("passphrase")
    if twice:
        check_passphrase(given)
        if file is None and is_terminal(sys.stdin) and ask("passphrase again") != given:
            raise ConfigurationError("the two passphrases differ; nothing was written.")
    return given


def _write(file: Path, content: bytes) -> None:
    """The whole file or none, for its owner's eyes only."""
    new = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}.") from None


def _tell(moved: "list[Moved]", arguments: Namespace) -> None:
    for each in moved:
        talk(f"{each.connection}: {each.did}")
    if arguments.json:
        emit_json([each.as_dict() for each in moved])
