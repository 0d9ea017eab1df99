"""The address of a PostgreSQL server: taken apart so that no error, log or dump of a frame shows the password."""

import re
from typing import Any

import psycopg
from psycopg import conninfo

from clew.core.errors import ConfigurationError
from clew.core.secret import Secret


def parse(address: Secret) -> tuple[dict[str, Any], Secret | None]:
    """The address as keywords and the password apart. `PGPASSWORD`, `PGPASSFILE` and a service file work as well."""
    try:
        arguments: dict[str, Any] = conninfo.conninfo_to_dict(address.reveal())
    except psycopg.Error:
        arguments = {}
    if not arguments:  # the driver's own words repeat the address
        raise ConfigurationError("The database address is not of the form postgresql://user@host:5432/name.")
    if "@" in f"{arguments.get('host')} {arguments.get('dbname')}" or not re.fullmatch(
        r"[\d,]*", arguments.get("port", "")
    ):
        # Parts of the password have become host, port or name; neither they nor a dump of this frame may show.
        arguments.clear()
        raise ConfigurationError(
            "Write @ as %40, / as %2F, : as %3A, ? as %3F and # as %23 in the database's password."
        )
    password = arguments.pop("password", None)
    return arguments, None if password is None else Secret(password)
