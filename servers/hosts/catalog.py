"""The hosts that can be told about a server: their files on each system, and the shape of an entry.

Source of the paths and shapes: what `add-mcp` 2.4.0 and the hosts' own commands write into an empty home (2026-11).
"""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path

from clew.core.errors import ConfigurationError
from clew.core.values import dataclass
from clew.servers.hosts import entries
from clew.servers.hosts.documents import Format, Place
from clew.servers.hosts.entries import Launch, Shape

_CLINE = "User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"


@dataclass(frozen=True, slots=True)
class Host:
    """One host. `file` may begin with `~`, `{config}` (the system's folder for settings of programs) or `{roaming}`.

    `moved` is a variable that names another folder for it, and the file's name there. `remote` is False when its file
    takes no address; `manual` says what to click where there is no file at all.
    """

    name: str
    title: str
    place: Place = ("mcpServers",)
    shape: Shape = entries.plain
    form: Format = "json"
    file: str = ""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Other places on `darwin` and `win32`."""
    project: str = ""
    moved: tuple[str, str] | None = None
    programs: tuple[str, ...] = ()
    remote: bool = True
    link: Callable[[Launch], str] | None = None
    after: str = ""
    """What a person does for the host to see it."""
    manual: str = ""

    def path(self, project: Path | None = None) -> Path:
        """Its file: the user's, or the one of a project. Raises `ConfigurationError` when it has none."""
        if self.manual:
            raise ConfigurationError(f"{self.title} keeps no file on this machine. {self.manual}")
        if project is not None:
            if not self.project:
                raise ConfigurationError(f"{self.title} has no configuration of a project; leave out --project.")
            return _either(project / self.project)
        if self.moved and os.environ.get(self.moved[0]):
            return Path(os.environ[self.moved[0]]) / self.moved[1]
        return _either(_expanded(self.files.get(sys.platform, self.file)))

    def is_here(self) -> bool:
        """Is it installed for this user, as far as files and programs tell?"""
        if self.manual:
            return False
        path = self.path()
        home = path if path.parent == Path.home() else path.parent
        return home.exists() or any(shutil.which(name) for name in self.programs)


def _expanded(file: str) -> Path:
    roaming = os.environ.get("APPDATA") or str(Path.home() / "AppData" / "Roaming")
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    if sys.platform == "darwin":
        config = str(Path.home() / "Library" / "Application Support")
    elif sys.platform == "win32":
        config = roaming
    plain = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(file.format(config=config, roaming=roaming, dotconfig=plain)).expanduser()


def _either(path: Path) -> Path:
    """`opencode.jsonc` when that is the one there is."""
    other = path.with_suffix(".jsonc" if path.suffix == ".json" else ".json")
    return other if path.stem == "opencode" and not path.exists() and other.exists() else path


_RESTART = "Restart {title}."
HOSTS = {
    host.name: host
    for host in (
        Host(
            "claude-code",
            "Claude Code",
            shape=entries.typed(),
            file="~/.claude.json",
            moved=("CLAUDE_CONFIG_DIR", ".claude.json"),
            project=".mcp.json",
            programs=("claude",),
            after="Sessions that are open need /mcp, or a new start.",
        ),
        Host(
            "claude-desktop",
            "Claude Desktop",
            file="{config}/Claude/claude_desktop_config.json",
            remote=False,
            after=_RESTART,
        ),
        Host(
            "cursor",
            "Cursor",
            file="~/.cursor/mcp.json",
            project=".cursor/mcp.json",
            programs=("cursor",),
            link=entries.cursor_link,
            after="Cursor notices it by itself; switch it on under Settings, MCP.",
        ),
        Host(
            "vscode",
            "VS Code",
            place=("servers",),
            shape=entries.typed(),
            file="{config}/Code/User/mcp.json",
            project=".vscode/mcp.json",
            programs=("code",),
            link=entries.vscode_link,
            after="VS Code offers to start it; or run 'MCP: List Servers'.",
        ),
        Host(
            "windsurf",
            "Windsurf",
            shape=entries.with_url("serverUrl"),
            file="~/.codeium/windsurf/mcp_config.json",
            programs=("windsurf",),
            after="Press refresh in Windsurf's list of MCP servers.",
        ),
        Host(
            "zed",
            "Zed",
            place=("context_servers",),
            file="{dotconfig}/zed/settings.json",
            files={"win32": "{roaming}/Zed/settings.json"},
            project=".zed/settings.json",
            programs=("zed", "zeditor"),
        ),
        Host(
            "goose",
            "goose",
            place=("extensions",),
            shape=entries.goose,
            form="yaml",
            file="{dotconfig}/goose/config.yaml",
            files={"win32": "{roaming}/Block/goose/config/config.yaml"},
            programs=("goose",),
            link=entries.goose_link,
            after="Sessions that are open do not see it; begin a new one.",
        ),
        Host(
            "gemini",
            "Gemini CLI",
            shape=entries.typed(),
            file="~/.gemini/settings.json",
            project=".gemini/settings.json",
            programs=("gemini",),
            after="It works in folders that Gemini CLI trusts.",
        ),
        Host(
            "codex",
            "Codex",
            place=("mcp_servers",),
            form="toml",
            file="~/.codex/config.toml",
            moved=("CODEX_HOME", "config.toml"),
            project=".codex/config.toml",
            programs=("codex",),
        ),
        Host(
            "copilot",
            "Copilot CLI",
            shape=entries.typed("local", tools=["*"]),
            file="~/.copilot/mcp-config.json",
            moved=("COPILOT_HOME", "mcp-config.json"),
            project=".github/mcp.json",
            programs=("copilot",),
        ),
        Host(
            "opencode",
            "opencode",
            place=("mcp",),
            shape=entries.opencode,
            file="{dotconfig}/opencode/opencode.json",
            project="opencode.json",
            programs=("opencode",),
        ),
        Host(
            "cline",
            "Cline",
            shape=entries.typed(http="streamableHttp"),
            file="{config}/Code/" + _CLINE,
            after="Press refresh in Cline's list of MCP servers.",
        ),
        Host("kiro", "Kiro", file="~/.kiro/settings/mcp.json", project=".kiro/settings/mcp.json", programs=("kiro",)),
        Host("lmstudio", "LM Studio", file="~/.lmstudio/mcp.json", programs=("lms",)),
        Host("continue", "Continue", shape=entries.continued, form="yaml", file="~/.continue/config.yaml"),
        Host(
            "chatgpt",
            "ChatGPT",
            manual="It takes a server by its public https address: Settings, Connectors, Developer mode, Create; "
            "serve one with: clew serve NAME --http HOST:PORT",
        ),
        Host(
            "claude-web",
            "Claude on the web",
            manual="It takes a server by its public https address: Settings, Connectors, Add custom connector; "
            "serve one with: clew serve NAME --http HOST:PORT",
        ),
    )
}


def named(name: str) -> Host:
    """A host by its name. `claude` is Claude Code or Claude Desktop, whichever is here. Raises `ConfigurationError`."""
    if name in HOSTS:
        return HOSTS[name]
    if name == "claude":
        here = [HOSTS[each] for each in ("claude-code", "claude-desktop") if HOSTS[each].is_here()]
        if len(here) == 1:
            return here[0]
        found = "both are here" if here else "neither is here"
        raise ConfigurationError(f"claude is claude-code or claude-desktop; {found}. Say which.")
    import difflib

    near = difflib.get_close_matches(name, HOSTS, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(HOSTS)}."
    raise ConfigurationError(f"there is no host {name!r}. {hint}")


def detected() -> list[Host]:
    """Those that are installed for this user."""
    return [host for host in HOSTS.values() if host.is_here()]
