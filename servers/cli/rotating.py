"""`clew auth rotate`: new keys for the vault, new tokens from the providers."""

import asyncio
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from clew.core.connector import Connector
from clew.core.errors import ClewError, ConfigurationError
from clew.core.registry import load
from clew.servers.cli.output import emit_json, is_terminal, talk
from clew.servers.cli.start import begin
from clew.servers.settings import Settings
from clew.servers.store import open_store, stored_status

if TYPE_CHECKING:
    from clew.auth.rotation import Rotated
    from clew.servers.rotation import Refreshed

LOGIN, FAILED = 4, 1


def rotate(arguments: Namespace) -> int:
    """Rotate what was asked for: 0, 4 when a connection needs a new login, 1 when something could not be rotated."""
    settings = begin(http=arguments.tokens, tenant=arguments.tenant)
    every = not (arguments.keys or arguments.data or arguments.tokens)
    result: dict[str, Any] = {"keys": None, "data": None, "tokens": None}
    code = 0
    if arguments.keys or arguments.data or every:
        code = asyncio.run(_rotate_vault(settings, arguments, result, every=every))
    if arguments.tokens:
        done = asyncio.run(_refresh(settings))
        result["tokens"] = [each.as_dict() for each in done]
        if any(each.did == "refused" for each in done):
            code = LOGIN
        elif any(each.did == "failed" for each in done):
            code = code or FAILED
    if arguments.json:
        emit_json(result)
    return code


async def _rotate_vault(settings: Settings, arguments: Namespace, result: dict[str, Any], *, every: bool) -> int:
    import sys

    from clew.auth.leases import open_leases
    from clew.auth.rotation import Rotated, Rotation

    def report(progress: Rotated) -> None:
        if is_terminal(sys.stderr):
            what = "data keys" if progress.what == "keys" else "records"
            print(f"\r{progress.done} of {progress.total} {what}", end="\n" if progress.done == progress.total else "",
                  file=sys.stderr, flush=True)  # fmt: skip

    code = 0
    async with open_store(settings) as store:
        rotation = Rotation(store.database, store.keys, await open_leases(store.database), report=report)
        if arguments.keys or every:
            try:
                done = await rotation.rotate_keys()
            except ConfigurationError as error:
                if not every:
                    raise
                talk(f"The wrapping key stays: {error}")
            else:
                result["keys"] = _summary(done)
                again = "An interrupted rotation is finished" if done.resumed else "Done"
                talk(f"{again}: {done.done} data keys are wrapped with the key {done.key_id}. The former key opens "
                     "older backups only: keep it as long as those.")  # fmt: skip
        if arguments.data or every:
            done = await rotation.rotate_data()
            result["data"] = _summary(done)
            again = "An interrupted rotation is finished" if done.resumed else "Done"
            talk(f"{again}: {done.done} records are sealed with new data keys.")
            for name in done.damaged:
                talk(f"{name} does not open and was left as it is; see: clew auth status")
            code = FAILED if done.damaged else 0
    return code


def _summary(done: "Rotated") -> dict[str, Any]:
    return {"done": done.done, "resumed": done.resumed, "key_id": done.key_id, "damaged": list(done.damaged)}


async def _refresh(settings: Settings) -> list["Refreshed"]:
    from dataclasses import replace

    from clew.servers.rotation import Refreshed, refresh_tokens
    from clew.servers.runtime import Runtime

    def report(done: Refreshed) -> None:
        why = f": {done.why}" if done.why else ""
        talk(f"{done.connection}: {done.did.replace('_', ' ')}{why}")

    connectors: list[Connector] = []
    for name in sorted({each.connector for each in await stored_status(settings)}):
        try:
            connectors.append(load(name))
        except ClewError as error:
            talk(f"{name}: {error}")
    async with Runtime.open(replace(settings, tools=()), [each.name for each in connectors]) as runtime:
        return await refresh_tokens(runtime, connectors, report=report)
