"""The table `[http]` of `clew.toml`: how hosts reach this server over HTTP, and who vouches for its callers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import urlsplit

from clew.core.errors import ConfigurationError
from clew.core.fields import as_list, as_object
from clew.core.secret import Secret

SECRET = "CLEW_HTTP_CLIENT_SECRET"  # noqa: S105 - the variable's name
VARIABLES = ("CLEW_HTTP_URL", "CLEW_HTTP_ISSUER", "CLEW_HTTP_CLIENT_ID", SECRET)
VERIFY = ("jwt", "introspection")
MOST_BODY = 4 * 1024 * 1024
MOST_OPEN = 256
_LISTS = ("algorithms", "origins")
_FLAGS = ("strict", "sessions")
_RANGES = {"most_body": (64 * 1024, 64 * 1024 * 1024, "bytes"), "most_open": (4, 1_000_000, "a number")}


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """`url` is where hosts find this server (`https://mcp.example.com`). With an `issuer` every caller has to show an
    access token of that authorization server, and other addresses than loopback may be listened on.

    `verify` says how a token is checked: `jwt` with the issuer's keys (`keys_url`, else its metadata names them), where
    `strict` wants all of RFC 9068 and `algorithms` narrows what is taken; or `introspection` (`introspection_url`), as
    `client_id` with the secret of CLEW_HTTP_CLIENT_SECRET. A token must be for the very path it is shown at, or for
    `audience` where that is set. `identity` is the claim that names a caller to people. `tenant` says whose connections
    calls use: `user` (each caller's own), `server` (those of the server's tenant, for all), or the name of a claim
    (`org_id`: shared by all who have the same). `scopes` says which tools a scope opens; without it a good token opens
    all. Browsers are refused, but for `origins`. `sessions` keeps sessions of the older era in this process; behind a
    proxy that takes turns it must be false. `most_body` is the largest request in bytes. `most_open` is how many
    requests one caller may have open at once, half of them streams, and how many sessions.
    """

    url: str = ""
    issuer: str = ""
    verify: str = "jwt"
    keys_url: str = ""
    introspection_url: str = ""
    algorithms: tuple[str, ...] = ()
    strict: bool = True
    audience: str = ""
    client_id: str = ""
    client_secret: Secret = field(default_factory=lambda: Secret(""))
    identity: str = "sub"
    tenant: str = "user"
    scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    origins: tuple[str, ...] = ()
    sessions: bool = True
    most_body: int = MOST_BODY
    most_open: int = MOST_OPEN

    @property
    def has_users(self) -> bool:
        """Does every caller bring a tenant of its own?"""
        return bool(self.issuer) and self.tenant != "server"


def read_http(name: str, value: Any, where: str) -> HttpSettings:
    """The table, checked. Raises `ConfigurationError`."""
    if isinstance(value, HttpSettings):
        return value
    table = as_object(value)
    if table is None:
        raise ConfigurationError(f"{where}: {name} must be a table, [http].")
    known = [each.name for each in fields(HttpSettings) if each.name != "client_secret"]
    for key in table:
        if key == "client_secret":
            raise ConfigurationError(f"{where}: a secret does not belong into a file like this; set {SECRET}.")
        if key not in known:
            raise ConfigurationError(f"{where}: [http] has no setting {key!r}. There are: {', '.join(known)}.")
    return HttpSettings(**{key: _checked(key, each, where) for key, each in table.items()})


def with_environment(settings: HttpSettings, environment: Mapping[str, str]) -> HttpSettings:
    """The settings with what `CLEW_HTTP_…` says. Raises `ConfigurationError` when they do not fit together."""
    for variable in VARIABLES:
        if environment.get(variable):
            key = variable.removeprefix("CLEW_HTTP_").lower()
            settings = replace(settings, **{key: _checked(key, environment[variable], variable)})
    if settings.issuer and not settings.url:
        raise ConfigurationError("[http] has an issuer and no url: tokens are made for an address.")
    if settings.scopes and not settings.issuer:
        raise ConfigurationError("[http] has scopes and no issuer: nobody says which scopes a caller has.")
    if settings.issuer and settings.verify == "introspection" and not settings.client_id:
        raise ConfigurationError("[http] asks about tokens (introspection) and has no client_id to ask as.")
    return settings


def _checked(key: str, value: Any, where: str) -> Any:
    if key == "scopes":
        return _scopes(value, where)
    if key in _LISTS:
        items = as_list(value)
        if items is None or not all(isinstance(item, str) and item for item in items):
            raise ConfigurationError(f"{where}: http.{key} must be a list of texts.")
        return tuple(_origin(item, where) if key == "origins" else item for item in items)
    if key in _FLAGS:
        if not isinstance(value, bool):
            raise ConfigurationError(f"{where}: http.{key} must be true or false.")
        return value
    if key in _RANGES:
        least, most, what = _RANGES[key]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ConfigurationError(f"{where}: http.{key} must be {what} from {least} to {most}.")
        return value
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{where}: http.{key} must be a text.")
    if key == "client_secret":
        return Secret(value)
    if key == "verify" and value not in VERIFY:
        raise ConfigurationError(f"{where}: http.verify must be one of {', '.join(VERIFY)}, not {value!r}.")
    return _address(key, value, where) if key in ("url", "issuer", "keys_url", "introspection_url") else value


def _scopes(value: Any, where: str) -> dict[str, tuple[str, ...]]:
    table = as_object(value) or {}
    found: dict[str, tuple[str, ...]] = {}
    for scope, patterns in table.items():
        items = [patterns] if isinstance(patterns, str) else as_list(patterns)
        if not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope):
            raise ConfigurationError(f"{where}: http.scopes: {scope!r} cannot be a scope.")
        if not items or not all(isinstance(each, str) and each for each in items):
            raise ConfigurationError(
                f'{where}: http.scopes.{scope} must be a list like ["github.issues", "*:read"]: connector, connector.'
                "toolset or connector.tool, and after a colon read, write or destructive."
            )
        found[scope] = tuple(str(each) for each in items)
    if not found:
        raise ConfigurationError(f"{where}: http.scopes must be a table of scopes.")
    return found


def _origin(value: str, where: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query or "*" in value:
        raise ConfigurationError(f"{where}: http.origins must be like https://chat.example.com.")
    return value


def _address(key: str, value: str, where: str) -> str:
    parts = urlsplit(value)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    if not (parts.scheme == "https" or local) or not parts.netloc or parts.fragment or "@" in parts.netloc:
        raise ConfigurationError(f"{where}: http.{key} must be an https address.")
    if key == "url" and (parts.path not in ("", "/") or parts.query):
        raise ConfigurationError(f"{where}: http.url must have no path; /mcp and /CONNECTOR/mcp are below it.")
    return value.rstrip("/") if key == "url" else value
