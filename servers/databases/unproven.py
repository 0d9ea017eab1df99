"""SQL Server and Oracle: they go by what their drivers document and have never been run against a server."""

from typing import TYPE_CHECKING, Any

from clew.servers.databases.dialects import CONNECT_SECONDS, Dialect, Login, scalars, too_mighty

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


class Unproven(Dialect):
    """Databases that our tests have no server for: the statement is sent as it is, rows are counted as they come.

    A value is cut only after it has come over the network, and the role alone keeps such a session from writing where
    the database has no transaction that only reads (SQL Server).
    """

    wraps = False


class SQLServer(Unproven):
    """pyodbc with Microsoft's driver. It has no transaction that only reads, so the role must."""

    driver = "mssql+pyodbc"
    extra = ""

    def arguments(self) -> dict[str, Any]:
        """A bound on the login; the driver encrypts by default."""
        return {"timeout": CONNECT_SECONDS, "driver": "ODBC Driver 18 for SQL Server"}

    def begin(self, connection: "Connection", *, writes: bool, seconds: float) -> None:
        """The driver ends a statement that takes longer."""
        raw: Any = connection.connection.driver_connection
        raw.timeout = max(1, int(seconds))
        connection.exec_driver_sql("SET LOCK_TIMEOUT 5000")

    def check_role(self, connection: "Connection") -> None:
        """A role that reads: it is what holds here."""
        held = scalars(
            connection,
            "SELECT CASE WHEN IS_SRVROLEMEMBER('sysadmin') = 1 OR IS_ROLEMEMBER('db_owner') = 1 "
            "OR IS_ROLEMEMBER('db_ddladmin') = 1 THEN 1 ELSE 0 END",
        )
        writes = [] if self.profile.write else scalars(connection, "SELECT IS_ROLEMEMBER('db_datawriter')")
        if 1 in [*held, *writes]:
            raise too_mighty("may write or own")


class Oracle(Unproven):
    """python-oracledb in its thin mode, which needs no client of Oracle's."""

    driver = "oracle+oracledb"

    def engine(self, login: Login) -> "Engine":
        """The last part of the address is a service's name."""
        from sqlalchemy import URL, create_engine
        from sqlalchemy.pool import NullPool

        found = self.profile
        query = {"service_name": found.database}
        url = URL.create(
            self.driver, login.user or None, login.password or None, found.host, found.port, None, query=query
        )
        return create_engine(url, poolclass=NullPool, connect_args=self.arguments(), hide_parameters=True)

    def arguments(self) -> dict[str, Any]:
        """TCPS with the certificate's name checked, where the way is to be encrypted."""
        found: dict[str, Any] = {"tcp_connect_timeout": CONNECT_SECONDS, "retry_count": 0}
        if self.profile.security != "off":
            found |= {"protocol": "tcps", "ssl_server_dn_match": self.profile.security == "verify"}
        return found

    def begin(self, connection: "Connection", *, writes: bool, seconds: float) -> None:
        """SET TRANSACTION READ ONLY; each round trip is bounded by the driver."""
        raw: Any = connection.connection.driver_connection
        raw.call_timeout = int(seconds * 1000)
        if not writes:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    def check_role(self, connection: "Connection") -> None:
        """No DBA, nothing that reaches the server's directories."""
        held = scalars(
            connection,
            "SELECT privilege FROM session_privs WHERE privilege IN "
            "('CREATE ANY DIRECTORY', 'ALTER SYSTEM', 'EXECUTE ANY PROCEDURE', 'CREATE EXTERNAL JOB')",
        )
        if held:
            raise too_mighty("may reach what is outside of its schema")


UNPROVEN: dict[str, type[Dialect]] = {"mssql": SQLServer, "oracle": Oracle}
