"""`clew console`: the pages on loopback, and the link that opens them."""

import asyncio
import contextlib
import html
import os
import signal
import sys
import webbrowser
from argparse import Namespace
from collections.abc import Callable, Generator
from pathlib import Path

from clew.core.errors import ConfigurationError
from clew.core.secret import Secret
from clew.servers.cli.output import emit, emit_json, is_terminal, talk
from clew.servers.cli.person import local_person
from clew.servers.cli.serving import HTTP_SECONDS, until_stopped
from clew.servers.cli.start import begin
from clew.servers.console_address import find_console
from clew.servers.settings import Settings

_PAGE = "console-open.html"


def serve_console(arguments: Namespace) -> int:
    """Serve until Ctrl-C."""
    settings = begin(http=True)
    stopped, _ = asyncio.run(_serve(settings, arguments))
    return 130 if stopped == signal.SIGINT else 0


def print_link(arguments: Namespace) -> int:
    """A link to the console that runs."""
    settings = begin()
    url = find_console(settings)
    if not url:
        raise ConfigurationError("no console runs here. Start one: clew console")
    if settings.console.issuer:
        talk(f"People log in at {settings.console.issuer}: {url}")
        return 0
    _demand_person()
    link = asyncio.run(_link(settings, url))
    if arguments.json:
        emit_json({"link": link.reveal()})
    else:
        emit(link.reveal())
        talk("It opens the console once, within five minutes, in your name.")
    return 0


async def _serve(settings: Settings, arguments: Namespace) -> tuple[int | None, bool]:
    from clew.servers.console.desk import open_desk
    from clew.servers.console.serving import serve_pages

    async with open_desk(settings) as desk:
        with contextlib.ExitStack() as stack:

            async def ready(url: str) -> None:
                talk(f"clew: the console is at {url} - Ctrl-C stops it.")
                if settings.console.issuer:
                    return
                if not _is_person():
                    talk("clew: for a link that opens it, run in a terminal: clew console link")
                    return
                link = Secret(f"{url}/enter#{(await desk.sessions.ticket(local_person())).reveal()}")
                opened = not arguments.no_browser and stack.enter_context(_shown(settings, link))
                talk("It should open in your browser; or open this, once, within five minutes:" if opened
                     else "Open this, once, within five minutes:")  # fmt: skip
                emit(link.reveal())

            return await until_stopped(serve_pages(desk, arguments.http, ready), seconds=HTTP_SECONDS, cancel=False)


async def _link(settings: Settings, url: str) -> Secret:
    from clew.servers.console.sessions import open_sessions
    from clew.servers.store import open_store

    async with open_store(settings) as store:
        sessions = await open_sessions(store.database, settings.console.session)
        return Secret(f"{url}/enter#{(await sessions.ticket(local_person())).reveal()}")


def _is_person() -> bool:
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def _demand_person() -> None:
    if not _is_person():
        raise ConfigurationError(
            "a link lets whoever has it approve in your name, so it is only given at a terminal with somebody at it."
        )


@contextlib.contextmanager
def _shown(settings: Settings, link: Secret, open_url: Callable[[str], bool] = webbrowser.open) -> Generator[bool]:
    """Have the browser open it by way of a file of ours: what stands on a command line every process can read."""
    desktop = sys.platform in {"darwin", "win32"} or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not desktop:
        yield False
        return
    page = _written(settings.home / _PAGE, link)
    try:
        yield open_url(page.as_uri())
    finally:
        page.unlink(missing_ok=True)


def _written(page: Path, link: Secret) -> Path:
    """The page that leads to the link, for its owner's eyes only."""
    page.unlink(missing_ok=True)
    file = os.open(page, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(file, "w", encoding="utf-8") as out:  # noqa: PTH123 - a descriptor
        out.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={html.escape(link.reveal())}">')
    return page
