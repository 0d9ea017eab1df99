"""clew as an operator would run it: its own folder, a configuration file, tokens in the vault, `clew serve`."""

import contextlib
import re
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mcp import StdioServerParameters

from testbeds.processes import Served, plain_environment, run, serving
from testbeds.report import Failed

CLEW = str(Path(sys.executable).with_name("clew"))
ERAS = {"modern": "2026-07-28", "legacy": "2025-11-25"}
"""What the two protocol eras are called by the hosts, and the revision each must end with."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An installation of clew in a folder of its own."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a host would pass: nothing of this machine's own configuration."""
        return plain_environment(
            self.home,
            CLEW_HOME=str(self.home / "state"),
            CLEW_CONFIG=str(self.home / "clew.toml"),
            CLEW_KEY_PROVIDER="file",
            CLEW_ALLOW_WRITES="1",
            CLEW_REPEAT_WINDOW="0",  # both eras make the same calls, and mean them
        )

    def stdio(self, *words: str) -> StdioServerParameters:
        """`clew serve …` for a client that starts its server itself."""
        return StdioServerParameters(command=CLEW, args=["serve", *words], env=self.environment, cwd=self.home)

    @contextlib.asynccontextmanager
    async def http(self, *words: str) -> AsyncGenerator[Served]:
        """`clew serve … --http` on a free port; `found[0]` is the address."""
        command = [CLEW, "serve", *words, "--http", "127.0.0.1:0"]
        ready = re.compile(r"http://127\.0\.0\.1:\d+/mcp")
        async with serving(command, environment=self.environment, ready=ready, folder=self.home) as served:
            yield served


async def set_up(home: Path, base_urls: Mapping[str, str], tokens: Mapping[str, str]) -> Subject:
    """An installation whose connectors talk to `base_urls`, with `tokens` stored by `clew auth set` from its input."""
    subject = write_settings(home, base_urls)
    for name, token in tokens.items():
        command = [CLEW, "auth", "set", name, "--account", "bed"]
        done = await run(command, environment=subject.environment, folder=home, given=token + "\n")
        if done.code:
            raise Failed(f"clew auth set {name} ended with {done.code}: {done.error.strip()}")
    return subject


def write_settings(home: Path, base_urls: Mapping[str, str]) -> Subject:
    """An installation whose connectors talk to `base_urls`, without accounts."""
    home.mkdir(parents=True)
    tables = [f'[connectors.{name}]\nbase_url = "{url}"\n' for name, url in base_urls.items()]
    (home / "clew.toml").write_text("\n".join(tables), encoding="utf-8")
    return Subject(home)


@contextlib.asynccontextmanager
async def acme(folder: Path) -> AsyncGenerator[tuple[str, str]]:
    """`clew sandbox` on a free port; yields its address and token."""
    ready = re.compile(r'"url": ?"([^"]+)".*"token": ?"([^"]+)"')
    command = [CLEW, "sandbox", "--port", "0", "--json"]
    async with serving(command, environment=plain_environment(folder), ready=ready, folder=folder) as served:
        yield served.found[1], served.found[2]
