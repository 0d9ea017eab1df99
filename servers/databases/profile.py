"""What the operator says about a database: its address without credentials, the bounds, and declared statements.

A profile is a TOML file, or the address itself with options behind `#`. User name and password are never part of
either: they are typed into the vault (`clew auth set sql:…`) and given to the driver for one connection.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clew.core.errors import ConfigurationError, quote

PRODUCTS: Mapping[str, int] = {"postgresql": 5432, "mariadb": 3306, "mysql": 3306, "mssql": 1433, "oracle": 1521}
"""Databases behind a network and their ports. SQLite is a file."""
_SAME = {"postgres": "postgresql", "sqlserver": "mssql", "sqlite3": "sqlite"}
_OPTIONS = ("name", "schemas", "rows", "seconds", "tls")
_LARGEST = 1_000_000

Kind = Literal["text", "integer", "number", "boolean", "date"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Parameter(_Strict):
    """A typed parameter of a declared statement."""

    type: Kind = "text"
    help: str = Field(default="", max_length=300)
    optional: bool = False
    choices: list[str] = Field(default_factory=list[str], max_length=100)


class Statement(_Strict):
    """A declared statement."""

    sql: str = Field(min_length=1, max_length=20_000)
    help: str = Field(min_length=1, max_length=500)
    parameters: dict[str, Parameter] = Field(default_factory=dict[str, Parameter], max_length=30)


class WriteStatement(Statement):
    """A declared write. It changes at most `rows` rows.

    `asks`: a person is asked each time, as for every statement that deletes. `repeatable`: doing it twice leads to the
    same state as doing it once. `check` names a declared query that finds a row once the write has happened; its
    parameters are some of the write's.
    """

    rows: int = Field(default=100, ge=1, le=100_000)
    asks: bool = False
    repeatable: bool = False
    check: str = ""


class Profile(_Strict):
    """One database. `address` is `postgresql://HOST:PORT/NAME` or `sqlite:///PATH`, without user and password."""

    address: str
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")] = "sql"
    title: str = Field(default="", max_length=80)
    schemas: list[str] = Field(default_factory=list[str], max_length=50)
    rows: int = Field(default=100, ge=1, le=1000)
    seconds: float = Field(default=20.0, ge=0.1, le=120)
    tls: Literal["verify", "encrypt", "off"] | None = None
    free_queries: bool = True
    query: dict[str, Statement] = Field(default_factory=dict[str, Statement], max_length=100)
    write: dict[str, WriteStatement] = Field(default_factory=dict[str, WriteStatement], max_length=50)

    @property
    def product(self) -> str:
        """Which database this is: `postgresql`, `mariadb`, `mysql`, `sqlite`, `mssql` or `oracle`."""
        scheme = urlsplit(self.address).scheme.lower()
        return _SAME.get(scheme, scheme)

    @property
    def host(self) -> str:
        """The server's name; empty for a file."""
        return urlsplit(self.address).hostname or ""

    @property
    def port(self) -> int:
        """The server's port."""
        return urlsplit(self.address).port or PRODUCTS.get(self.product, 0)

    @property
    def database(self) -> str:
        """The database's name, or the path of the file."""
        path = unquote(urlsplit(self.address).path)
        return path.removeprefix("/")

    @property
    def is_file(self) -> bool:
        """Is it a file on this machine?"""
        return self.product == "sqlite"

    @property
    def origin(self) -> str:
        """What a credential is bound to."""
        return "sql://file" if self.is_file else f"sql://{_bracketed(self.host)}:{self.port}"

    @property
    def security(self) -> Literal["verify", "encrypt", "off"]:
        """How the way to the server is encrypted: with a certificate that is checked, but for this machine itself."""
        return self.tls or ("off" if self.host in ("localhost", "127.0.0.1", "::1") else "verify")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def read_profile(text: str) -> Profile:
    """The profile that stands behind `sql:`. Raises `ConfigurationError`, which repeats no address."""
    place, _, tail = text.partition("#")
    if "://" not in place:
        found = _of_file(Path(place).expanduser(), tail)
    else:
        options: dict[str, Any] = dict(parse_qsl(tail, keep_blank_values=True))
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown:
            raise ConfigurationError(f"sql:…#: no option {unknown[0][:40]!r}; there are {', '.join(_OPTIONS)}.")
        if "schemas" in options:
            options["schemas"] = [each for each in options["schemas"].split(",") if each]
        options.setdefault("name", _slug(unquote(place.rpartition("/")[2].partition("?")[0])))
        found = _made({**options, "address": place}, "sql:…")
    _check(found)
    return found


def _of_file(path: Path, tail: str) -> Profile:
    if tail:
        raise ConfigurationError("options behind # are for an address; put them into the file.")
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigurationError(f"{path} is larger than {_LARGEST // 1000} kB.")
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}. Behind sql: stands a profile (a TOML file) or an address."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no TOML: {quote(str(error), 120)}.") from None
    made = _made({"name": _slug(path.stem), **found}, str(path))
    if made.is_file and not Path(made.database).is_absolute():
        return made.model_copy(update={"address": f"sqlite:///{path.resolve().parent / made.database}"})
    return made


def _slug(name: str) -> str:
    stem = re.sub(r"[^a-z0-9_]", "_", name.lower().removesuffix(".db").removesuffix(".sqlite"))[:40]
    return stem if re.match(r"[a-z]", stem) else "sql"


def _made(values: Mapping[str, Any], where: str) -> Profile:
    try:
        return Profile.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        at = ".".join(str(each) for each in first["loc"])
        raise ConfigurationError(f"{where}: {quote(at, 80)}: {quote(str(first['msg']), 160)}.") from None


def _check(profile: Profile) -> None:
    if profile.write and profile.product in ("mssql", "oracle"):
        raise ConfigurationError("declared writes are served for PostgreSQL, MariaDB, MySQL and SQLite only.")
    parts = urlsplit(profile.address)
    try:
        parts.port  # noqa: B018 - reading it is the check
    except ValueError:
        raise ConfigurationError("the port in the database's address is no number.") from None
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigurationError(
            "an address of a database holds no user, password or options here, for it is seen by others: "
            "write SCHEME://HOST:PORT/NAME and run: clew auth set sql:…"
        )
    if not profile.is_file and profile.product not in PRODUCTS:
        known = ", ".join(["sqlite", *PRODUCTS])
        raise ConfigurationError(f"there is no database {quote(parts.scheme, 30)!r}; there are {known}.")
    if not profile.database or (not profile.is_file and not profile.host):
        raise ConfigurationError("the address of a database is SCHEME://HOST:PORT/NAME, or sqlite:///PATH.")
