"""The checks of `clew doctor`: each looks at one thing and says what it found and what to do about it.

Nothing here changes anything: a database, a key or a folder that is not there yet stays away.
"""

import asyncio
import email.utils
import os
import platform
import shutil
import stat
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Literal
from urllib.parse import urlsplit

from clew.core.errors import ClewError, ConfigurationError
from clew.core.values import dataclass
from clew.servers.hosts.entries import is_there
from clew.servers.settings import Settings

Verdict = Literal["ok", "note", "warning", "failure"]
SKEW_SECONDS = 60.0
"""How far this clock may be from a provider's: signatures and assertions are refused from some minutes on."""
LITTLE_ROOM = 200 << 20
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `fix` is the command or the act that helps."""

    about: str
    verdict: Verdict
    said: str
    fix: str = ""


async def examine(settings: Settings, *, online: bool = True) -> AsyncGenerator[Finding]:
    """Every check, in the order in which a person would look."""
    checks: list[Callable[[Settings], Awaitable[Sequence[Finding]]]] = [
        _program, _configuration, _home, _keys, _accounts, _limits, _pending, _hosts,
    ]  # fmt: skip
    if online:
        checks.append(_providers)
    for check in checks:
        try:
            found = await check(settings)
        except ClewError as error:
            found = [
                Finding(check.__name__.strip("_"), "failure", str(error), "Repair that, and run clew doctor again.")
            ]
        for finding in found:
            yield finding


async def _program(settings: Settings) -> list[Finding]:
    from importlib.metadata import version

    from clew import __version__
    from clew.servers.hosts.entries import is_fleeting, program

    said = f"clew {__version__}, mcp {version('mcp')}, Python {platform.python_version()} on {sys.platform}"
    try:
        command = program()
    except ConfigurationError as error:
        return [Finding("program", "warning", f"{said}; {error}", "pipx install clew")]
    if is_fleeting(command):
        return [Finding("program", "warning", f"{said}; {command} is in a cache", "pipx install clew")]
    return [Finding("program", "ok", f"{said}; {command}")]


async def _configuration(settings: Settings) -> list[Finding]:
    from clew.servers.settings import VARIABLES

    unknown = sorted(name for name in os.environ if name.startswith("CLEW_") and name not in VARIABLES)
    files = ", ".join(map(str, settings.files)) or "no clew.toml, defaults only"
    if unknown:
        names = ", ".join(unknown)
        return [Finding("settings", "warning", f"{files}; nothing knows {names}", "Remove them. See: clew config")]
    return [Finding("settings", "ok", files)]


async def _home(settings: Settings) -> list[Finding]:
    home = settings.home
    if not home.exists():
        return [Finding("home", "note", f"{home} is not there yet", "It is made with the first account.")]
    mode = stat.S_IMODE(home.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        return [Finding("home", "warning", f"others can look into {home} ({mode:03o})", f"chmod 700 {home}")]
    if not os.access(home, os.W_OK):
        return [Finding("home", "failure", f"{home} cannot be written", "Give it to the user who runs clew.")]
    free = shutil.disk_usage(home).free
    if free < LITTLE_ROOM:
        return [
            Finding("home", "warning", f"{free >> 20} MB are left for {home}", "Make room; writes stop without it.")
        ]
    return [Finding("home", "ok", str(home))]


async def _keys(settings: Settings) -> list[Finding]:
    from clew.auth.sealing import DataKeys, newest
    from clew.core.connection import LOCAL_TENANT
    from clew.servers.store import KEY, open_store

    if not settings.has_database():
        return [Finding("vault", "note", "nothing is stored yet", "clew auth login NAME, or clew auth set NAME")]
    key = settings.home / KEY
    if os.name == "posix" and key.is_file() and stat.S_IMODE(key.stat().st_mode) & 0o077:
        return [Finding("vault", "failure", f"others can read the key {key}", f"chmod 600 {key}; clew auth rotate")]
    async with open_store(settings) as store:
        keys = DataKeys(store.database, store.keys)
        async with store.database.transaction() as at:
            present = await newest(at, LOCAL_TENANT)
        if present is not None:
            await keys.get(LOCAL_TENANT, present)  # raises when the key is not the one it was sealed with
    engine = "PostgreSQL" if "://" in settings.database.reveal() else "SQLite"
    return [Finding("vault", "ok", f"its key opens it, {engine}")]


async def _accounts(settings: Settings) -> list[Finding]:
    from clew.servers.store import stored_status

    stored = await stored_status(settings)
    broken = [each for each in stored if each.state != "ready"]
    found = [
        Finding("account", "failure", f"{each.connector} {each.account}: {each.state}", each.next_step or "")
        for each in broken
    ]
    missing = [each for each in stored if each.state == "ready" and each.missing]
    found += [
        Finding(
            "account", "warning", f"{each.connector} {each.account}: {len(each.missing)} scopes were not granted",
            f"clew auth status {each.connector}",
        )
        for each in missing
    ]  # fmt: skip
    return found or [Finding("accounts", "ok", f"{len(stored)} connected")] if stored else []


async def _limits(settings: Settings) -> list[Finding]:
    if not settings.limits:
        return []
    from clew.core.limit_redis import RedisStore
    from clew.core.limit_store import StoreError

    store = RedisStore.open(settings.limits)
    try:
        await store.everything()
    except (StoreError, OSError) as error:
        said = f"Redis does not answer ({type(error).__name__}); rate limits hold for this machine only"
        return [Finding("limits", "warning", said, "Start it, or take `limits` out of the settings.")]
    finally:
        await store.close()
    return [Finding("limits", "ok", "Redis answers")]


async def _pending(settings: Settings) -> list[Finding]:
    """What waits for a person."""
    if not settings.has_database():
        return []
    from clew.core.approvals import open_approvals
    from clew.core.drift import ANNOUNCED, BREAKING
    from clew.core.drift_log import open_drift
    from clew.core.inbox import Status
    from clew.core.journal import State
    from clew.servers.store import open_events, open_store

    async with open_store(settings) as store:
        unknown = len(await store.journal.rows(states=(State.UNKNOWN,), limit=1000))
        dead = (await (await open_events(store)).count())[Status.DEAD]
        waiting = len(await (await open_approvals(store.database, store.sealer)).list())
        changes = await (await open_drift(store.database)).changes()
    announced = sorted({each.connector for each in changes if each.change == ANNOUNCED})
    broke = sorted({each.connector for each in changes if each.change in BREAKING})
    found = [
        Finding("drift", "warning", f"{', '.join(broke)} changed what answers hold", "clew drift") if broke else None,
        Finding("drift", "note", f"{', '.join(announced)}: an end is announced", "clew drift") if announced else None,
        Finding("writes", "warning", f"{unknown} with an unknown outcome", "clew writes --unknown")
        if unknown
        else None,
        Finding("events", "warning", f"{dead} could not be processed", "clew webhooks dead") if dead else None,
        Finding("approvals", "note", f"{waiting} wait for a yes", "clew approvals") if waiting else None,
    ]
    return [each for each in found if each is not None]


async def _hosts(settings: Settings) -> list[Finding]:
    from clew.servers.hosts import catalog, documents, entries, files

    here = catalog.detected()
    found: list[Finding] = []
    with_ours: list[str] = []
    for host in here:
        try:
            there = documents.entries(files.read(host.path()), host.form, host.place)
        except ConfigurationError as error:
            found.append(Finding("host", "warning", f"{host.title}: {error}", f"Repair {host.path()}."))
            continue
        ours = {name: each for name, each in there.items() if entries.is_ours(each)}
        with_ours += [host.title] if ours else []
        for name, each in ours.items():
            command = entries.command_of(each)[0][0]
            if not entries.address_of(each) and not is_there(command):
                said = f"{host.title} would start {name} with {command}, which is gone"
                found.append(Finding("host", "failure", said, f"clew install {host.name} {name}"))
    if found:
        return found
    if not here:
        return [Finding("hosts", "note", "no agent host is found here", "clew install lists those that are known.")]
    names = ", ".join(host.title for host in here)
    if not with_ours:
        return [Finding("hosts", "note", f"{names}; none has a server of clew", f"clew install {here[0].name} github")]
    return [Finding("hosts", "ok", f"{names}; with clew: {', '.join(with_ours)}")]


async def _providers(settings: Settings) -> list[Finding]:
    """Do the providers of the connected accounts answer, and is their clock ours?"""
    from clew.core.registry import load
    from clew.servers.store import stored_status

    names = sorted({each.connector for each in await stored_status(settings)})
    places: dict[str, str] = {}
    for name in names:
        try:
            root = settings.of(name).base_url or load(name).base_url
        except ClewError:
            continue
        if root.startswith("http") and "{" not in root:
            places[name] = root
    return [*await asyncio.gather(*(_provider(name, root) for name, root in places.items()))]


async def _provider(name: str, root: str) -> Finding:
    import httpx

    host = urlsplit(root).hostname or root
    began = time.perf_counter()
    try:
        async with httpx.AsyncClient(timeout=_ANSWER_SECONDS, follow_redirects=False) as client:
            response = await client.head(root)
    except httpx.HTTPError as error:
        said = f"{name}: {host} does not answer ({type(error).__name__})"
        return Finding("provider", "warning", said, "Look at the network, a proxy, or the provider's status page.")
    took = time.perf_counter() - began
    skew = _skew(response.headers.get("date", ""))
    if skew is not None and abs(skew) > SKEW_SECONDS:
        side = "behind" if skew > 0 else "ahead of"
        said = f"this clock is {abs(skew):.0f} s {side} {host}'s"
        return Finding("clock", "failure", said, "Set it (NTP); logins and signatures fail otherwise.")
    return Finding("provider", "ok", f"{name}: {host} answered in {took:.2f} s")


def _skew(date: str) -> float | None:
    """Seconds that a `Date` header is ahead of this clock."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() - time.time()
    except (TypeError, ValueError):
        return None
