"""One record for every call, successful or not, that a person can read."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

log = logging.getLogger("clew.audit")


@dataclass(slots=True)
class Attempt:
    """One request of a call: route is the path template, so no argument and no secret is in it."""

    method: str
    route: str
    status: int | None = None
    code: str | None = None
    waited: float = 0.0


@dataclass(slots=True)
class Record:
    """What one call did. `started` is epoch seconds, `seconds` its duration; argument values are not recorded.

    `identity` is what the provider calls the account, as far as it is known.
    """

    reference: str
    connector: str
    tool: str
    effect: str
    account: str
    tenant: str
    started: float
    seconds: float = 0.0
    code: str = "ok"
    outcome: str = ""
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    identity: str | None = None


Sink = Callable[[Record], None]


def log_record(record: Record) -> None:
    """The sink that is always there: one JSON line on the `clew.audit` logger."""
    log.info(json.dumps(asdict(record), separators=(",", ":")))


def now() -> float:
    """Epoch seconds."""
    return time.time()
