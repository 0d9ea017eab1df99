"""SQL databases: what SQLSTATEs, MySQL, SQL Server and SQLite codes mean.

An error of the server stands in a body like `{"sqlstate": "23505", "message": …}`, with status 500. `database` says
whose numbers they are, `kind` the class of an error that has no code, `reached` is false without a connection.

Sources: SQLAlchemy 2.1.9 (`exc`, dialects' `is_disconnect`); the states of psycopg 3.3 (`errors`) for PostgreSQL, the
numbers that `perror` of MariaDB 10.11 knows; SQL Server's are the vendor's (memory). Oracle's are in `oracle.py`. A
commit that was lost in flight is a transport fault: its outcome is unknown.
"""

import re

from clew import Basic, Connector, ErrorMap, Response, Rule, Verdict, errors

_STATES: tuple[tuple[str, str], ...] = (
    (r"28...", "auth_revoked"),
    (r"42501|25006", "permission"),
    (r"42P01|42S02|3F000|3D000|57P04|HV00R", "not_found"),
    (r"42703|42S22|42883|42804|HV00[5QJ]", "contract_changed"),
    (r"23505", "already_done"),
    (r"40001|40P01|40000|55P03|55006|72000", "conflict"),
    (r"53300|53000|53400", "rate_limited"),
    (r"53100", "quota_exhausted"),
    (r"57014|57000|XX...|58...|HV...|F0...", "transient"),
    (r"0800[14]", "unreached"),
    (r"57P0[1235]|08...|25P0[34]|4000[3]", "lost"),
    # What is left of these is about the statement or its values: a constraint, a type, a limit, an exception that a
    # trigger raises. Sent again it ends in the same way.
    (r"0[29A-Z]...|03...|1....|2....|3....|40002|42...|44...|53200|54...|55...|P0...", "invalid_input"),
)
_NUMBERS: dict[str, str] = {
    # MySQL, MariaDB and SQL Server
    "auth_revoked": "1045 1130 1275 1698 1820 1862 1873 3118 4150 4151 18456 18487 18488",
    "permission": "1036 1044 1095 1142 1143 1227 1290 1345 1370 1449 1621 1792 1836 1874 229 230 297",
    "not_found": "1049 1051 1109 1146 1932 208",
    "contract_changed": "1054 1176 1305 1356 207",
    "already_done": "1022 1062 1586 1859 2601 2627",
    "conflict": "1020 1205 1206 1213 1222 1223 1412 1613 1614 1622 1689 3058 3572 3960",
    "rate_limited": "1040 1129 1135 1203 1226 1637 17809 10928 10929 40501 49918 49919 49920",
    "quota_exhausted": "1021 1114 1197 40544",
    "transient": "1026 1030 1037 1041 1105 1180 1194 1195 1317 1436 1467 1587 1615 1712 1817 1877 3015 3024 3044",
    "unreached": "2002 2003 2005",
    "lost": "1053 1077 1078 1079 1080 1152 1156 1157 1158 1159 1160 1161 1184 1927 2000 2006 2012 2013 2014 2027 2045 "
    "2055 4031 10053 10054 10060 233 40197 40613",
    "invalid_input": "1064 1264 1366 1406 1451 1452 1048 3819 1235 102 156 547 515 245 8152 2628",
}
_BY_NUMBER = {number: code for code, numbers in _NUMBERS.items() for number in numbers.split()}
_WORDS: tuple[tuple[str, str], ...] = (
    # SQLite, and drivers that have only words
    (r"database (?:table )?is locked|SQLITE_BUSY|SQLITE_LOCKED|deadlock", "conflict"),
    (r"no such table|SQLITE_NOTFOUND|database \".{1,63}\" does not exist", "not_found"),
    (r"no such column|has no column|no such function", "contract_changed"),
    (r"UNIQUE constraint failed|duplicate key|SQLITE_CONSTRAINT_(?:UNIQUE|PRIMARYKEY)", "already_done"),
    (r"constraint failed|SQLITE_CONSTRAINT|syntax error|SQLITE_MISMATCH|SQLITE_TOOBIG|SQLITE_RANGE", "invalid_input"),
    (r"QueuePool limit|too many (?:connections|clients)|connection pool|connection slots are reserved", "rate_limited"),
    (r"readonly database|SQLITE_READONLY|permission denied|SQLITE_PERM|SQLITE_AUTH|not authorized", "permission"),
    (r"database or disk is full|SQLITE_FULL", "quota_exhausted"),
    (r"password authentication failed|login failed|access denied for user|pg_hba\.conf|role \".{1,63}\" does not exist"
     r"|is not permitted to log in", "auth_revoked"),
    (r"server closed the connection|lost connection|gone away|connection (?:reset|refused)", "lost"),
    (r"SQLITE_(?:IOERR|CANTOPEN|NOMEM|PROTOCOL|CORRUPT|NOTADB)", "transient"),
    (r"SQLITE_ERROR", "invalid_input"),
)  # fmt: skip
_KINDS = re.compile(
    r"DataError|ProgrammingError|NotSupportedError|IntegrityError|OverflowError|\w*ValueError|Unicode\w+"
)
"""Classes of errors that are about the statement or its values, where a driver has no code for them."""
_FAULTS = frozenset({"OperationalError", "InterfaceError", "InternalError"})
_STATE_PLACES = ("sqlstate", "pgcode", "SQLSTATE", "orig.sqlstate", "error.sqlstate", "code", "error.code", "error")
_NUMBER_PLACES = ("errno", "number", "mysql_errno", "code", "error.errno", "error.number", "error.code", "args[0]")


def classify(response: Response) -> Verdict | None:
    """The state, else the vendor's number, else words."""
    if 200 <= response.status < 400:
        return None
    first = _by_number(response) if response.field("errno") else None  # MySQL says 42000 of rights and of limits too
    code = first or _by_state(response) or _by_number(response) or _by_words(response)
    code = code or _by_state(response, vague=True)
    if code in (None, "lost") and response.field("reached") == "false":
        code = "unreached"
    code = code or _by_kind(response)
    if code is None:
        return None
    if code == "unreached":
        return Verdict("transient", "the database could not be reached.", outcome=errors.Outcome.NOT_APPLIED)
    if code == "lost":
        return Verdict("transient", "the connection to the database was lost.")
    if code == "conflict":
        step = "Read the rows again, then repeat the whole transaction."
        return Verdict(code, next_step=step, retry=errors.Retry.SAME_CALL)
    # A refusal of the server rolled the statement back; a fault of its own, at a commit, does not say so.
    silent = code in ("already_done", "transient")
    return Verdict(code, outcome=None if silent else errors.Outcome.NOT_APPLIED)


def _by_state(response: Response, *, vague: bool = False) -> str | None:
    """Without `vague` 23000 counts for nothing: MySQL says it of every constraint, and its number tells which."""
    states = [
        found for path in _STATE_PLACES if (found := response.field(path)) and re.fullmatch(r"[0-9A-Z]{5}", found)
    ]
    states += re.findall(r"(?:SQLSTATE[ :=\[(]*|\(code |ERROR:?\s+)([0-9A-Z]{5})\b", response.text)
    told = [state for state in states if vague or state != "23000"]
    return next((code for state in told for pattern, code in _STATES if re.fullmatch(pattern, state)), None)


def _by_number(response: Response) -> str | None:
    numbers = [found for path in _NUMBER_PLACES if (found := response.field(path)) is not None]
    numbers += re.findall(r"(?:ERROR |Error |Msg |\()(\d{3,5})\b", response.text)
    return next((_BY_NUMBER[number] for number in numbers if number in _BY_NUMBER), None)


def _by_kind(response: Response) -> str | None:
    """An error that no table names: MySQL's server speaks of the statement, and so do some classes of the drivers."""
    number = response.field("errno") or ""
    if number:
        mine = response.field("database") in ("mysql", "mariadb") and not number.startswith("2")
        return "invalid_input" if mine else None
    kind = response.field("kind") or ""
    return "invalid_input" if _KINDS.fullmatch(kind) else "transient" if kind in _FAULTS else None


def _by_words(response: Response) -> str | None:
    told = [found for path in ("name", "message") if (found := response.field(path))]
    text = " ".join(told) or response.text
    return next((code for pattern, code in _WORDS if re.search(pattern, text, re.IGNORECASE)), None)


ERRORS = ErrorMap(
    message=("message", "error.message", "msg", "error"),
    provider_code=("sqlstate", "pgcode", "error.sqlstate", "errno", "number", "code", "error.code"),
    hook=classify,
    rules=(Rule(code="transient", status=(408, 500, 502, 503, 504)),),
)

sql = Connector(
    "sql",
    title="SQL databases",
    base_url="https://localhost",
    auth=Basic(help="a role that may do no more than the tools need"),
    errors=ERRORS,
    docs="https://www.postgresql.org/docs/current/errcodes-appendix.html",
)
