"""The documentation as a site: `python scripts/site_pages.py [FOLDER]`, then open FOLDER/index.html.

The pages of `docs/` as they are, and a reference that is made from the code: one page for each connector, the command
line, the configuration. Sphinx (extra `docs`) makes HTML of it that asks the network for nothing; a link or an anchor
that leads nowhere ends the build.
"""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from clew import __version__
from clew.core.connector import Connector
from clew.core.fields import as_object
from clew.core.registry import discover, load
from clew.core.secret import Secret
from clew.servers import settings
from clew.servers.cli.parser import build
from clew.servers.console_settings import ConsoleSettings
from clew.servers.http_settings import HttpSettings
from clew.servers.webhook_settings import WebhookSettings

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS: Mapping[str, tuple[str, ...]] = {
    "Begin": ("overview", "tutorial", "openapi", "graphql", "soap", "sql"),
    "Run": (
        "hosts",
        "consent",
        "console",
        "credentials",
        "rate-limits",
        "writes",
        "events",
        "events-receiving",
        "email",
    ),
    "Write a connector": ("paging", "errors", "drift", "publishing", "authoring"),
    "Reference": ("reference/connectors", "reference/command-line", "reference/configuration"),
}
"""The chapters of the site; a page that stands in none goes to the end."""
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")


def make(folder: Path) -> None:
    """Build the site. Raises `CalledProcessError` for a page that is not as it should be; what is wrong was printed."""
    with tempfile.TemporaryDirectory() as made:
        source = Path(made)
        write(source)
        options = {
            "project": "clew",
            "version": __version__,
            "extensions": "myst_parser",
            "html_theme": "furo",
            "html_title": f"clew {__version__}",
            "html_copy_source": "0",
            "html_show_sphinx": "0",
            "myst_heading_anchors": "4",
            "suppress_warnings": "misc.highlighting_failure,myst.header",
        }
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-C", "-b", "html"]
        command += [word for name, value in options.items() for word in ("-D", f"{name}={value}")]
        subprocess.run([*command, str(source), str(folder)], check=True)


def write(source: Path) -> None:
    """Everything that Sphinx reads."""
    shutil.copytree(ROOT / "docs", source, dirs_exist_ok=True)
    (source / "overview.md").write_text((ROOT / "README.md").read_text().replace("](docs/", "]("))
    reference = source / "reference"
    (reference / "connectors").mkdir(parents=True)
    connectors = [load(name) for name in sorted(discover())]
    for each in connectors:
        (reference / "connectors" / f"{each.name}.md").write_text(_connector(each, source))
    (reference / "connectors.md").write_text(_index(connectors))
    (reference / "command-line.md").write_text(_command_line())
    (reference / "configuration.md").write_text(_configuration())
    for page in source.rglob("*.md"):
        page.write_text(_linked(page, source))
    (source / "index.md").write_text(_front(source))


def _linked(page: Path, source: Path) -> str:
    """The page's text, in which links to files that the site does not have are words."""
    pieces = re.split(r"(^```.*?^```$)", page.read_text(), flags=re.MULTILINE | re.DOTALL)

    def shown(match: re.Match[str]) -> str:
        target = match[2].partition("#")[0]
        inside = not target or "://" in target or (page.parent / target).resolve().is_relative_to(source.resolve())
        return match[0] if inside and ("://" in target or (page.parent / target).is_file()) else match[1]

    return "".join(piece if piece.startswith("```") else _LINK.sub(shown, piece) for piece in pieces)


def _front(source: Path) -> str:
    known = {name for names in CHAPTERS.values() for name in names}
    pages = sorted(str(page.relative_to(source).with_suffix("")) for page in source.rglob("*.md"))
    rest = [name for name in pages if name not in known and not name.startswith("reference/")]
    trees = [_tree(title, (name for name in names if name in pages)) for title, names in CHAPTERS.items()]
    return "\n".join(["# clew", "", "Any third-party API as an MCP server.", "", *trees, _tree("More", rest), ""])


def _tree(title: str, names: Iterable[str]) -> str:
    caption = [f":caption: {title}"] if title else [":hidden:"]
    return "\n".join(["```{toctree}", *caption, ":maxdepth: 1", "", *names, "```", ""])


def _table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    def line(cells: Iterable[Any]) -> str:
        texts = (" ".join(str(cell).split()).replace("|", "\\|").replace("<", "&lt;") for cell in cells)
        return f"| {' | '.join(texts)} |"

    listed = list(heads)
    return "\n".join([line(listed), line("---" for _ in listed), *(line(row) for row in rows), ""])


def _index(connectors: Iterable[Connector]) -> str:
    rows = [
        (f"[{each.name}](connectors/{each.name}.md)", each.title or each.name, len(each.tools)) for each in connectors
    ]
    names = (f"connectors/{each[0].partition(']')[0][1:]}" for each in rows)
    intro = "Those without tools are facts: what their errors, limits and logins mean.\n"
    return "\n".join(["# Connectors", "", intro, _table(("connector", "provider", "tools"), rows), _tree("", names)])


def _connector(connector: Connector, source: Path) -> str:
    facts = [("base URL", f"`{connector.base_url}`")]
    facts += [("API version", connector.version.value)] if connector.version else []
    facts += [("login", ", ".join(scheme.kind for scheme in connector.schemes) or "none needed")]
    limits = [f"{limit.name}: {limit.amount:g}" for limit in connector.declared.limits]
    facts += [("declared limits", ", ".join(limits))] if limits else []
    facts += [("webhooks", "verified")] if connector.webhook_schemes else []
    facts += [("the provider's documentation", connector.docs)] if connector.docs else []
    parts = [f"# {connector.title or connector.name}", "", _table(("", ""), facts)]
    if (source / "connectors" / f"{connector.name}.md").exists():
        parts.append(f"Guide: [{connector.name}](../../connectors/{connector.name}.md)\n")
    if connector.tools:
        rows = [
            (f"`{tool.name}`", tool.effect.value, tool.toolset or "-", ", ".join(tool.scopes) or "-", tool.description)
            for tool in connector.tools.values()
        ]
        parts += ["## Tools", "", _table(("tool", "effect", "toolset", "scopes", "what it does"), rows)]
    else:
        parts.append("It has no tools: its facts judge answers (`clew explain`) and log in.\n")
    parts += ["```sh", f"clew show {connector.name}", "```", ""]
    return "\n".join(parts)


def _command_line() -> str:
    os.environ["COLUMNS"] = "100"
    parts = ["# The command line", ""]

    def walk(parser: Any, depth: int) -> None:
        parts.extend(
            [f"{'#' * min(depth, 4)} `{parser.prog}`", "", "```text", parser.format_help().rstrip(), "```", ""]
        )
        for action in parser._actions:
            for name, inner in (as_object(action.choices) or {}).items():
                if not name.startswith("_"):
                    walk(inner, depth + 1)

    walk(build(), 2)
    return "\n".join(parts)


def _configuration() -> str:
    parts = [
        "# Configuration",
        "",
        f"`{settings.FILE}` in the user's configuration folder and in the project; environment variables come before "
        "both, options of a command before everything. `clew doctor` says what was read and from where.",
        "",
        _words(settings.Settings),
    ]
    parts += ["## Top level", "", _fields(settings.Settings, simple=True)]
    tables: Mapping[str, Any] = {
        "connectors.NAME": settings.ConnectorSettings,
        "webhooks": WebhookSettings,
        "console": ConsoleSettings,
        "http": HttpSettings,
    }
    for name, kind in tables.items():
        parts += [f"## `[{name}]`", "", _words(kind), _fields(kind, simple=False)]
    parts += ["## Environment variables", "", *(f"- `{name}`" for name in settings.VARIABLES), ""]
    return "\n".join(parts)


def _words(kind: Any) -> str:
    paragraphs = (kind.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(each.split()) for each in paragraphs) + "\n"


def _fields(kind: Any, *, simple: bool) -> str:
    rows: list[tuple[str, ...]] = []
    for field in dataclasses.fields(kind):
        variable = f"CLEW_{field.name.upper()}"
        if simple and variable not in settings.VARIABLES:
            continue
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        rows.append(
            (f"`{field.name}`", _default(default), *((f"`{variable}`", _project(field.name)) if simple else ()))
        )
    heads = ("setting", "default", "environment", "in a project's file") if simple else ("setting", "default")
    return _table(heads, rows)


def _default(value: Any) -> str:
    if value is dataclasses.MISSING:
        return "the system's place for data"
    if isinstance(value, Secret) or value in ("", (), {}):
        return "-"
    return f"`{str(value).strip('(),')}`".replace("'", "")


def _project(name: str) -> str:
    return "yes" if name in settings.PROJECT else "no"


if __name__ == "__main__":
    make(Path(sys.argv[1] if len(sys.argv) > 1 else "site"))
