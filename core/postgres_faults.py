"""What PostgreSQL's errors mean: the server is gone, others are busy, the store is out, or our SQL is wrong."""

import contextlib
from collections.abc import Generator

import psycopg

from clew.core.errors import InternalError, Retry, TransientError


@contextlib.contextmanager
def explained(database: object) -> Generator[None]:
    """Turn a fault of the store into ours; a fault of our SQL stays what it is."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate in _BUSY:
            message = f"Others have been writing to {database} for too long; nothing was written."
            raise TransientError(message) from error
        if lost(error):
            raise TransientError(f"The database {database} cannot be reached; nothing was written.") from error
        sentence = _FAULTS.get(error.sqlstate or "")
        if sentence is None:
            raise
        next_step = "Ask the person who runs the server to repair its storage, then make the same call again."
        raise InternalError(sentence.format(database), next_step=next_step, retry=Retry.AFTER_HUMAN) from error


def lost(error: psycopg.Error) -> bool:
    """The connection is gone or was never made: shutdown, restart, network, too many clients, put to sleep."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate[:2] == "08" or error.sqlstate in _GONE


_GONE = {"57P01", "57P02", "57P03", "57P05", "53300", "25P03"}
_BUSY = {"55P03", "57014", "40P01", "40001"}
_FAULTS = {
    "53100": "The disk that holds {} is full; nothing was written.",
    "58030": "The disk that holds {} reports a fault; nothing was written.",
    "25006": "The database {} is read-only; nothing was written.",
    "XX001": "The database {} is damaged.",
    "XX002": "The database {} is damaged.",
}
