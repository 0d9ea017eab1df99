"""The table `[console]` of `clew.toml`: where the console is, and who gets in."""

import re
from collections.abc import Mapping
from dataclasses import field, fields, replace
from typing import Any
from urllib.parse import urlsplit

from clew.core.errors import ConfigurationError
from clew.core.fields import as_list, as_object
from clew.core.secret import Secret
from clew.core.values import dataclass

SECRET = "CLEW_CONSOLE_CLIENT_SECRET"  # noqa: S105 - the variable's name
VARIABLES = ("CLEW_CONSOLE_URL", "CLEW_CONSOLE_ISSUER", "CLEW_CONSOLE_CLIENT_ID", SECRET)


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """`url` is where people find the console when that is not the address it listens on (`https://clew.example.com`).

    With an `issuer` people log in there (OpenID Connect) as `client_id`; without one, by a link that `clew console`
    gives once. `identity` is the claim that names them: approvals are recorded under it, and policy rules name
    approvers by it. `people` (names, or `@domain`) and `groups` (of the claim `groups_claim`) may log in,
    one of the two is enough; `operators` and `operator_groups` are those among them who also see
    what is not theirs to approve: audit, connections, events, writes (empty: all). `session` is for how many seconds
    a login is good.
    """

    url: str = ""
    issuer: str = ""
    client_id: str = ""
    client_secret: Secret = field(default_factory=lambda: Secret(""))
    identity: str = "email"
    groups_claim: str = "groups"
    people: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    operator_groups: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    session: float = 8 * 3600.0

    def admits(self, person: str, groups: tuple[str, ...]) -> bool:
        """May this person use the console at all?"""
        return _named(person, self.people) or not set(groups).isdisjoint(self.groups)

    def is_operator(self, person: str, groups: tuple[str, ...]) -> bool:
        """May this person see and do more than decide approvals?"""
        if not self.operators and not self.operator_groups:
            return True
        return _named(person, self.operators) or not set(groups).isdisjoint(self.operator_groups)


def _named(person: str, names: tuple[str, ...]) -> bool:
    return any(person == each or (each.startswith("@") and person.endswith(each)) for each in names)


def read_console(name: str, value: Any, where: str) -> ConsoleSettings:
    """The table, checked. Raises `ConfigurationError`."""
    if isinstance(value, ConsoleSettings):
        return value
    table = as_object(value)
    if table is None:
        raise ConfigurationError(f"{where}: {name} must be a table, [console].")
    known = [each.name for each in fields(ConsoleSettings) if each.name != "client_secret"]
    for key in table:
        if key == "client_secret":
            raise ConfigurationError(f"{where}: a secret does not belong into a file like this; set {SECRET}.")
        if key not in known:
            raise ConfigurationError(f"{where}: [console] has no setting {key!r}. There are: {', '.join(known)}.")
    return ConsoleSettings(**{key: _checked(key, each, where) for key, each in table.items()})


def with_environment(settings: ConsoleSettings, environment: Mapping[str, str]) -> ConsoleSettings:
    """The settings with what `CLEW_CONSOLE_…` says. Raises `ConfigurationError` when they do not fit together."""
    for variable in VARIABLES:
        if environment.get(variable):
            key = variable.removeprefix("CLEW_CONSOLE_").lower()
            settings = replace(settings, **{key: _checked(key, environment[variable], variable)})
    if settings.issuer and not settings.client_id:
        raise ConfigurationError("[console] has an issuer and no client_id.")
    if settings.issuer and not (settings.people or settings.groups):
        raise ConfigurationError(
            "[console] has an issuer and lets nobody in: set people (names or @domain), or groups, of those who may."
        )
    return settings


def _checked(key: str, value: Any, where: str) -> Any:
    if key in ("people", "groups", "operators", "operator_groups", "scopes"):
        items = as_list(value)
        if items is None or not all(isinstance(item, str) and item for item in items):
            raise ConfigurationError(f"{where}: console.{key} must be a list of texts.")
        return tuple(dict.fromkeys(["openid", *items] if key == "scopes" else items))
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{where}: console.{key} must be a text.")
    if key == "client_secret":
        return Secret(value)
    if key == "session":
        return _seconds(value, where)
    return _address(key, value, where) if key in ("url", "issuer") else value


def _address(key: str, value: str, where: str) -> str:
    parts = urlsplit(value)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    if (
        not (parts.scheme == "https" or local)
        or not parts.netloc
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise ConfigurationError(f"{where}: console.{key} must be like https://clew.example.com.")
    if key == "url" and parts.path not in ("", "/"):
        raise ConfigurationError(f"{where}: console.url must have no path; the console is at /console below it.")
    return value.rstrip("/") if key == "url" else value


def _seconds(value: str, where: str) -> float:
    found = re.fullmatch(r"(\d{1,4})(m|h|d)", value.strip())
    seconds = int(found[1]) * {"m": 60.0, "h": 3600.0, "d": 86400.0}[found[2]] if found else 0.0
    if not 60 <= seconds <= 30 * 86400:
        raise ConfigurationError(f'{where}: console.session must be a time from "1m" to "30d", not {value!r}.')
    return seconds
