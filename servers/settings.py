"""What an operator can set: `clew.toml` in the project and in the user's configuration folder, and `CLEW_*` variables.

The nearer wins: environment, project file, user file, defaults. Secrets do not belong here; the vault has them.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Any

from clew.auth.origins import Place
from clew.core.errors import ConfigurationError
from clew.core.fields import as_object
from clew.core.policy import Decision, Policy, PolicyRule
from clew.core.secret import Secret
from clew.core.values import dataclass
from clew.servers.console_settings import VARIABLES as CONSOLE_VARIABLES
from clew.servers.console_settings import ConsoleSettings, read_console, with_environment
from clew.servers.http_settings import VARIABLES as HTTP_VARIABLES
from clew.servers.http_settings import HttpSettings, read_http
from clew.servers.http_settings import with_environment as http_with_environment
from clew.servers.policy_file import read_policy
from clew.servers.settings_values import (
    check_choice,
    check_database,
    check_deadline,
    check_duration,
    check_flag,
    check_key_provider,
    check_key_providers,
    check_name,
    check_names,
    check_path,
    check_rotations,
    check_server,
    check_tenant_text,
    check_text,
    check_window,
)
from clew.servers.webhook_settings import WebhookSettings, read_webhooks

FILE = "clew.toml"
DATABASE = "clew.db"
_SIMPLE = (
    "home", "database", "deadline", "read_only", "tools", "key_provider", "old_key_providers", "rotate_after", "rotate",
    "log_level", "log_format", "limits", "repeat_window", "keep_results", "audit_keep", "audit_hide", "audit_show",
    "metrics", "allow_writes", "tenant",
)  # fmt: skip
VARIABLES = (
    *(f"CLEW_{name.upper()}" for name in _SIMPLE), "CLEW_CONFIG", "CLEW_CONNECTORS", "CLEW_MASTER_KEY",
    "CLEW_PKCS11_PIN", "CLEW_EARLY_START", *CONSOLE_VARIABLES, *HTTP_VARIABLES,
)  # fmt: skip
"""Every environment variable that means something to us."""


@dataclass(frozen=True, slots=True)
class ConnectorSettings:
    """`[connectors.NAME]`: another root URL (GitHub Enterprise), and which account calls use when none is named."""

    base_url: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be configured; in `sources` where each value came from, in `files` which files were read.

    The source of one connector's setting stands under `connectors.NAME.SETTING`.
    `home` holds the vault and its key; `database` is another place for the vault, a path or an address (empty: in
    `home`). `deadline` is how many seconds a tool call may take; hosts stop at 180 to 600. `rotate_after` (seconds; 0:
    never) and `rotate` are the policy that a running server keeps. `limits` is the address of a Redis or
    Valkey server (`redis://HOST:6379/0`) that shares rate limits between machines; without it a file in `home` shares
    them on this one. `repeat_window` is for how many seconds a second identical write without a `request_id` is taken
    for a repetition, `keep_results` for how many the sealed result of a write is kept. `audit_keep` is how long
    (seconds; 0: for ever) a server keeps audit records, `audit_hide` and `audit_show` name arguments that records never
    or always show. `metrics` offers `/metrics` beside `/mcp`. `prices` says what things cost (`servers.prices`).
    `tenant` is whose connections are used; empty: nobody has said, see `servers.tenancy`.
    `allow_writes` lets tools that change something run without asking once per session; `policy` holds the rules of
    `[policy]` together with it and `read_only`.
    """

    home: Path
    database: Secret = field(default_factory=lambda: Secret(""))
    deadline: float = 60.0
    read_only: bool = False
    tools: tuple[str, ...] = ()
    key_provider: str = "auto"
    old_key_providers: tuple[str, ...] = ()
    rotate_after: float = 72 * 3600.0
    rotate: tuple[str, ...] = ("data",)
    log_level: str = "warning"
    log_format: str = "text"
    limits: str = ""
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    audit_keep: float = 365 * 86400.0
    audit_hide: tuple[str, ...] = ()
    audit_show: tuple[str, ...] = ()
    metrics: bool = False
    prices: Mapping[str, Any] = field(default_factory=dict[str, Any])
    repeat_window: float = 600.0
    keep_results: float = 7 * 86400.0
    allow_writes: bool = False
    tenant: str = ""
    policy: Policy = field(default_factory=Policy)
    connectors: Mapping[str, ConnectorSettings] = field(default_factory=dict[str, ConnectorSettings])
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    files: tuple[Path, ...] = ()
    project: Path | None = None

    def place(self, connector: str, declared: str) -> Place:
        """Where a connector's requests go; `declared` is its own root address."""
        source = self.sources.get(f"connectors.{connector}.base_url", "")
        return Place(self.of(connector).base_url or declared, declared, source)

    def of_project(self, name: str) -> bool:
        """Does this value come from the project's file, which may be somebody else's work?"""
        return self.project is not None and self.sources.get(name) == str(self.project)

    def of(self, connector: str) -> ConnectorSettings:
        """The settings of one connector."""
        return self.connectors.get(connector, ConnectorSettings())

    def has_database(self) -> bool:
        """Is anything stored, as far as that can be known without opening it?"""
        try:
            return bool(self.database) or (self.home / DATABASE).is_file()
        except OSError as error:
            raise ConfigurationError(f"home {self.home} cannot be read: {error.strerror}.") from None


def user_file() -> Path:
    """The user's own `clew.toml`."""
    from platformdirs import user_config_path

    return user_config_path("clew") / FILE


def default_home() -> Path:
    """Where durable state lives when `CLEW_HOME` does not say."""
    from platformdirs import user_data_path

    return user_data_path("clew")


def load_settings(environment: Mapping[str, str] | None = None, project: Path | None = None) -> Settings:
    """Read all sources. Raises `ConfigurationError` naming the file and the key for anything that is not understood."""
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    tables: dict[str, dict[str, str]] = {}
    files = _files(environment, project)
    own = None if environment.get("CLEW_CONFIG") or user_file() in files[-1:] else next(iter(files[-1:]), None)
    rules: tuple[PolicyRule, ...] = ()
    writes: Decision | None = None
    for path in files:
        found = _read(path)
        said, more = read_policy(found.pop("policy", {}), str(path), strict=path == own)
        writes, rules = said or writes, more + rules
        sources |= {f"policy.{rule.name}": str(path) for rule in more}
        if path == own:
            _check_project(path, found, values)
        for name, keys in found.pop("connectors", {}).items():
            tables.setdefault(name, {}).update(keys)
            sources |= dict.fromkeys((f"connectors.{name}.{key}" for key in keys), str(path))
        values |= found
        sources |= dict.fromkeys(found, str(path))
    for name in _SIMPLE:
        variable = f"CLEW_{name.upper()}"
        if environment.get(variable):
            values[name] = _checked(name, environment[variable], variable)
            sources[name] = variable
    values["console"] = with_environment(values.get("console", ConsoleSettings()), environment)
    values["http"] = http_with_environment(values.get("http", HttpSettings()), environment)
    values.setdefault("home", default_home())
    allowed = Decision.ALLOW if values.get("allow_writes") else writes or Decision.ASK
    values["policy"] = Policy(read_only=values.get("read_only", False), writes=allowed, rules=rules)
    connectors = {name: ConnectorSettings(**keys) for name, keys in tables.items()}
    return Settings(**values, connectors=connectors, sources=sources, files=tuple(files), project=own)


PROJECT = ("deadline", "read_only", "tools", "log_level", "connectors", "policy")
"""What a project's file may set. The rest says where secrets lie and who wraps them: that is for the user to say."""


def _check_project(path: Path, found: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    """A project can narrow what its user has set up, and never widen it or lead secrets elsewhere."""
    for name in found:
        if name not in PROJECT:
            raise ConfigurationError(
                f"{path}: {name} cannot be set by a project, only in {user_file()}, by CLEW_{name.upper()} "
                "or in a file that CLEW_CONFIG names."
            )
    if user.get("read_only") and found.get("read_only") is False:
        raise ConfigurationError(f"{path}: read_only is set by the user; a project cannot take it back.")


def searched_files(environment: Mapping[str, str] | None = None, project: Path | None = None) -> list[Path]:
    """Where configuration files are looked for, the nearer one last; `CLEW_CONFIG` names one instead of both."""
    named = (os.environ if environment is None else environment).get("CLEW_CONFIG")
    try:
        return [Path(named)] if named else [user_file(), (project or Path.cwd()) / FILE]
    except FileNotFoundError:  # the working directory is gone
        return [user_file()]


def _files(environment: Mapping[str, str], project: Path | None) -> list[Path]:
    searched = searched_files(environment, project)
    try:
        found = [path for path in searched if path.is_file()]
    except OSError as error:
        raise ConfigurationError(f"{error.filename} cannot be read: {error.strerror}.") from None
    if environment.get("CLEW_CONFIG") and not found:
        raise ConfigurationError(f"CLEW_CONFIG names {searched[0]}, which is not a file.")
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text.") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    known = [*_SIMPLE, "connectors", "policy", "prices", "webhooks", "console", "http"]
    return {name: _checked(check_name(name, known, str(path)), value, str(path)) for name, value in table.items()}


def _as_it_is(name: str, value: Any, where: str) -> Any:
    return value


def _checked(name: str, value: Any, where: str) -> Any:
    return _CHECKS[name](name, value, where)


def _prices(name: str, value: Any, where: str) -> dict[str, Any]:
    from clew.servers.prices import check_prices

    return check_prices(value, f"{where}: {name}")


def _connectors(name: str, value: Any, where: str) -> dict[str, dict[str, str]]:
    table = as_object(value)
    if table is None:
        raise ConfigurationError(f"{where}: connectors must be tables like [connectors.github].")
    return {connector: _connector(f"{where}: connectors.{connector}", keys) for connector, keys in table.items()}


def _connector(place: str, value: Any) -> dict[str, str]:
    keys = as_object(value)
    if keys is None:
        raise ConfigurationError(f"{place} must be a table.")
    known = [each.name for each in fields(ConnectorSettings)]
    texts = {check_name(key, known, place): check_text(key, each, place) for key, each in keys.items()}
    if not re.match(r"https?://[^/?#\s]+[^\s]*$", texts.get("base_url", "https://none")):
        raise ConfigurationError(f"{place}: base_url must be an http(s) address, not {texts['base_url']!r}.")
    return texts


_CHECKS: Mapping[str, Callable[[str, Any, str], Any]] = {
    "home": check_path,
    "database": check_database,
    "deadline": check_deadline,
    "read_only": check_flag,
    "tools": check_names,
    "key_provider": check_key_provider,
    "old_key_providers": check_key_providers,
    "rotate_after": check_duration,
    "rotate": check_rotations,
    "log_level": check_choice,
    "log_format": check_choice,
    "audit_keep": check_duration,
    "audit_hide": check_names,
    "audit_show": check_names,
    "metrics": check_flag,
    "prices": _prices,
    "limits": check_server,
    "repeat_window": check_window,
    "keep_results": check_duration,
    "connectors": _connectors,
    "allow_writes": check_flag,
    "tenant": check_tenant_text,
    "policy": _as_it_is,
    "webhooks": read_webhooks,
    "console": read_console,
    "http": read_http,
}
