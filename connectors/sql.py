"""SQL databases: what SQLSTATEs, MySQL, SQL Server and SQLite codes mean. An error of the server stands in a body like
`{"sqlstate": "23505", "message": …}`, with status 500.

Sources: SQLAlchemy 2.1.9 (`exc`, dialects' `is_disconnect`); the numbers are the vendors' (memory). Oracle's are in
`oracle.py`. A commit that was lost in flight is a transport fault: its outcome is unknown.
"""

import re

from clew import Basic, Connector, ErrorMap, Response, Rule, Verdict, errors

_STATES: tuple[tuple[str, str], ...] = (
    (r"28...", "auth_revoked"),
    (r"42501|25006", "permission"),
    (r"42P01|42S02|3F000|3D000", "not_found"),
    (r"42703|42S22|42883|42804", "contract_changed"),
    (r"23505", "already_done"),
    (r"40001|40P01|55P03", "conflict"),
    (r"53300", "rate_limited"),
    (r"53100", "quota_exhausted"),
    (r"57014", "transient"),
    (r"0800[14]", "unreached"),
    (r"57P0[123]|08...", "lost"),
    (r"22...|23...|426..|42...|55000|0A000|53200|54...|21...|25...", "invalid_input"),
)
_NUMBERS: dict[str, str] = {
    # MySQL and MariaDB
    "auth_revoked": "1045 1698 1862 18456 18487 18488",
    "permission": "1142 1143 1227 1044 1290 1792 229 230 297",
    "not_found": "1146 1051 208",
    "contract_changed": "1054 207",
    "already_done": "1062 2601 2627",
    "conflict": "1213 1205 3960 1222 3572",
    "rate_limited": "1040 1203 1226 17809 10928 10929 40501 49918 49919 49920",
    "quota_exhausted": "1114 1021 40544",
    "transient": "3024 1317",
    "unreached": "2002 2003 2005",
    "lost": "2006 2013 2014 2045 2055 4031 10053 10054 10060 233 40197 40613",
    "invalid_input": "1064 1264 1366 1406 1451 1452 1048 3819 1235 102 156 547 515 245 8152 2628",
}
_BY_NUMBER = {number: code for code, numbers in _NUMBERS.items() for number in numbers.split()}
_WORDS: tuple[tuple[str, str], ...] = (
    # SQLite, and drivers that have only words
    (r"database (?:table )?is locked|SQLITE_BUSY|deadlock", "conflict"),
    (r"no such table|SQLITE_NOTFOUND", "not_found"),
    (r"no such column|has no column", "contract_changed"),
    (r"UNIQUE constraint failed|duplicate key|SQLITE_CONSTRAINT_(?:UNIQUE|PRIMARYKEY)", "already_done"),
    (r"constraint failed|SQLITE_CONSTRAINT|syntax error|SQLITE_MISMATCH", "invalid_input"),
    (r"QueuePool limit|too many connections|connection pool", "rate_limited"),
    (r"readonly database|SQLITE_READONLY|permission denied|SQLITE_PERM|SQLITE_AUTH|not authorized", "permission"),
    (r"database or disk is full|SQLITE_FULL", "quota_exhausted"),
    (r"password authentication failed|login failed|access denied for user", "auth_revoked"),
    (r"server closed the connection|lost connection|gone away|connection (?:reset|refused)", "lost"),
)
_STATE_PLACES = ("sqlstate", "pgcode", "SQLSTATE", "orig.sqlstate", "error.sqlstate", "code", "error.code", "error")
_NUMBER_PLACES = ("errno", "number", "mysql_errno", "code", "error.errno", "error.number", "error.code", "args[0]")


def classify(response: Response) -> Verdict | None:
    """The state, else the vendor's number, else words."""
    if 200 <= response.status < 400:
        return None
    code = _by_state(response) or _by_number(response) or _by_words(response) or _by_state(response, vague=True)
    if code is None:
        return None
    if code == "unreached":
        return Verdict("transient", "the database could not be reached.", outcome=errors.Outcome.NOT_APPLIED)
    if code == "lost":
        return Verdict("transient", "the connection to the database was lost.")
    if code == "conflict":
        step = "Read the rows again, then repeat the whole transaction."
        return Verdict(code, next_step=step, retry=errors.Retry.SAME_CALL)
    # A refusal of the server rolled the statement back.
    return Verdict(code, outcome=None if code == "already_done" else errors.Outcome.NOT_APPLIED)


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


def _by_words(response: Response) -> str | None:
    text = response.text
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
