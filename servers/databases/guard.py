"""Which statements are taken, judged before anything is sent: one that reads, or one change that a profile declares.

This is the second line. The first is the database itself, which runs every statement of a read tool in a transaction
that it keeps from writing, with a role that can reach no file and no program (`dialects`). What the parser does not
understand is refused: a text that is read in two ways is how such checks are passed.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from clew.core.errors import InvalidInputError, quote

LONGEST = 20_000
"""Characters of a statement."""

_PARSED_AS = {"postgresql": "postgres", "mariadb": "mysql", "mssql": "tsql"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$#]*")
_FUNCTIONS = re.compile(
    # PostgreSQL: files, other sessions, settings, other servers, and text that is run as SQL
    r"pg_(?:read_|ls_|stat_file|file_|terminate|cancel|reload|rotate|sleep|(?:try_)?advisory|switch|promote|create_|drop_"
    r"|logical|replication|notify|export|import|backup|start_backup|stop_backup|wal_|log_|current_logfile|walfile|reset"
    r"|stat_reset|hba_file|ident_file|config|show_all_file)\w*"
    r"|lo_\w+|lo(?:creat|open|read|write|unlink)|dblink\w*|set_config|current_setting|nextval|setval|txid_current"
    r"|(?:query|table|schema|database|cursor)_to_xml\w*|xmltable|xpath_table|plpy\w*|file_fdw\w*"
    r"|ts_stat|ts_rewrite|crosstab\w*|connectby|pg_(?:current_xact_id|copy_|prewarm|buffercache_evict)\w*|autoprewarm\w*"
    r"|gin_clean_pending_list|brin_(?:de)?summarize\w*|http|http_\w+"
    # MariaDB and MySQL
    r"|load_file|get_lock|release_\w*lock\w*|is_\w+_lock|sleep|benchmark|sys_(?:exec|eval|get|set)|lib_mysqludf\w*"
    r"|master_\w+_wait|source_pos_wait|wait_for_\w+|wsrep_sync_\w+|kdf|last_insert_id|lastval"
    # SQLite
    r"|load_extension|writefile|readfile|edit|fts3_tokenizer|fsdir|lsmode|zipfile|eval"
    # SQL Server and Oracle
    r"|xp_\w+|sp_\w+|openrowset|openquery|opendatasource|openxml|fn_get_audit_file|fn_trace\w*|utl_\w+|dbms_\w+"
    r"|(?:http|db|xdb)uritype|xmltype|bfilename|sys_eval\w*|extractvalue_file",
    re.IGNORECASE,
)
"""Functions that do more than compute, whatever transaction they run in."""
_MARKS = frozenset("'\"`[$")
_PACKAGES = re.compile(r"(?:utl|dbms|ctxsys|owa)(?:_\w+)?", re.IGNORECASE)


def check_read(sql: str, product: str) -> bool:
    """Raise `InvalidInputError` unless a read tool may send this. The answer: does it order its rows?"""
    from sqlglot import exp

    tree = _parsed(sql, product)
    if not isinstance(tree, exp.Select | exp.SetOperation | exp.Values):
        raise refused("only a SELECT is taken")
    _check_nodes(tree, _forbidden(exp))
    return tree.args.get("order") is not None


def has_limit(sql: str, product: str) -> bool:
    """Does the statement limit its rows by itself?"""
    tree = _parsed(sql, product)
    return any(tree.args.get(each) is not None for each in ("limit", "offset", "fetch"))


@dataclass(frozen=True, slots=True)
class Changing:
    """What a declared write does: to which tables, and whether rows are gone afterwards (`destroys`).

    `adds`: it makes rows and hits none. `hits` is a SELECT of the rows that it will hit, empty where we can make none.
    """

    tables: tuple[str, ...]
    destroys: bool
    adds: bool
    hits: str


def check_write(sql: str, product: str) -> Changing:
    """What a statement that a profile declares as a write does. Raises `InvalidInputError` when it is none."""
    from sqlglot import exp

    tree = _parsed(sql, product)
    if not isinstance(tree, exp.Insert | exp.Update | exp.Delete | exp.Merge):
        raise refused("only INSERT, UPDATE, DELETE and MERGE can be declared")
    _check_nodes(tree, (exp.Command, exp.Into, exp.Create, exp.Drop, exp.Set, exp.Directory))
    whole = isinstance(tree, exp.Update | exp.Delete) and tree.args.get("where") is None
    if whole:
        raise refused("an UPDATE or DELETE needs a WHERE")
    tables = dict.fromkeys(each.name for each in tree.find_all(exp.Table))
    ends = any(tree.find_all(exp.Delete)) or isinstance(tree, exp.Merge) or tree.args.get("alternative") is not None
    return Changing(tuple(tables), ends, isinstance(tree, exp.Insert), _hits(tree, product))


def _hits(tree: Any, product: str) -> str:
    """The rows of an UPDATE or DELETE of one table, by its own WHERE."""
    from sqlglot import exp

    others = ("with_", "with", "from_", "from", "using", "order", "limit", "tables")
    where = tree.args.get("where")
    plain = isinstance(tree.this, exp.Table) and not tree.this.args.get("joins")
    if where is None or not plain or any(tree.args.get(each) for each in others):
        return ""
    select = exp.select("*").from_(tree.this.copy()).where(where.this.copy())
    for each in list(select.find_all(exp.Placeholder)):
        each.replace(exp.var(f":{each.name}"))  # as statements have it here, not as the driver does
    return str(select.sql(dialect=_PARSED_AS.get(product, product)))


def quoted(sql: str, product: str) -> Iterator[tuple[int, int]]:
    """Where quotes are, of texts and of names: begin and end."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    plain = sqlglot.Dialect.get_or_raise(_PARSED_AS.get(product, product))
    try:
        tokens = plain.tokenize(sql)
    except SqlglotError:
        raise refused("it could not be read") from None
    for token in tokens:
        if token.end > token.start and not _MARKS.isdisjoint(sql[token.start : token.end + 1]):
            yield token.start, token.end + 1


def _forbidden(exp: Any) -> tuple[type[Any], ...]:
    names = (
        "Insert Update Delete Merge Create Drop Alter Command Set Into Lock Copy Attach Detach Pragma Use Execute "
        "Transaction Commit Rollback Kill LoadData TruncateTable Grant Revoke Analyze Describe Show Cache SetItem "
        "SessionParameter Parameter Export PropertyEQ NextValueFor"
    )
    return tuple(found for each in names.split() if (found := getattr(exp, each, None)) is not None)


def _parsed(sql: str, product: str) -> Any:
    import sqlglot
    from sqlglot.errors import ErrorLevel, SqlglotError

    if len(sql) > LONGEST or "\0" in sql:
        raise refused(f"it is longer than {LONGEST} characters, or no text")
    if "/*" in sql or "*/" in sql:
        raise refused("comments are not taken, for some databases run what stands in them")
    if re.search(r"\bU&[\"']", sql, re.IGNORECASE):
        raise refused("names and texts written with U& are not taken")
    dialect = sqlglot.Dialect.get_or_raise(_PARSED_AS.get(product, product))
    try:
        tokens = dialect.tokenize(sql)
        if any(each.comments for each in tokens):
            raise refused("comments are not taken")
        if any(each.token_type is sqlglot.TokenType.SEMICOLON for each in tokens):
            raise refused("one statement only, without a semicolon")
        trees = dialect.parser(error_level=ErrorLevel.RAISE).parse(tokens, sql)
    except (SqlglotError, RecursionError, ValueError) as error:
        why = quote(str(error).partition("\n")[0], 120) if isinstance(error, SqlglotError) else "it nests too deeply"
        raise refused(f"it could not be read ({why})") from None
    if len(trees) != 1 or trees[0] is None:
        raise refused("exactly one statement is taken")
    return trees[0]


def _check_nodes(tree: Any, forbidden: tuple[type[Any], ...]) -> None:
    from sqlglot import exp

    for node in tree.walk():
        if isinstance(node, forbidden):
            raise refused(f"{node.key.upper()} is not taken here")
        if isinstance(node, exp.Placeholder) and not node.args.get("this"):
            raise refused("a value is written as :name")
        if isinstance(node, exp.Func):
            _check_function(_names(node))
        if isinstance(node, exp.Dot) and any(_PACKAGES.fullmatch(part.name) for part in node.parts):
            raise refused("packages of the database are not taken")


def _names(function: Any) -> Iterable[str]:
    from sqlglot import exp

    if isinstance(function, exp.Anonymous | exp.AnonymousAggFunc):
        return (str(function.name),)
    return tuple(str(each) for each in function.sql_names())


def _check_function(names: Iterable[str]) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise refused("a function's name holds letters, digits and _ only")
        if _FUNCTIONS.fullmatch(name):
            raise refused(f"the function {quote(name, 60)} is not taken: it can do more than compute")


def refused(why: str) -> InvalidInputError:
    """The refusal of a statement."""
    return InvalidInputError(
        f"this statement is not sent: {why}.",
        next_step="Write one SELECT without comments, with values as :name in sql and in params.",
    )
