"""What a provider offers against doing the same thing twice, declared per tool: `@acme.write(once=…, verify=…)`.

    ProviderKey   the provider remembers a key of ours and gives the first answer again
    NaturalKey    what is sent names the object: an id we choose, a unique field, an upsert, a state that is set
    Guarded       the request says which version it changes; the second one is refused
    Marker        a mark in the content by which the object is found again
    Draft         made first and sent after; what stands at the provider tells whether it was sent
    (nothing)     then only a declared look can tell, or a person

It is data: the core puts keys and marks on the requests of a write, and a tool function never sees them. The facts per
provider are in the guide, docs/writes.md.
"""

import hashlib
import inspect
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from clew.core.errors import ConfigurationError
from clew.core.fields import as_list
from clew.core.values import dataclass

Form = Literal["uuid", "hex"]
"""How a key is written: `6f1c…-…` (36 characters), or 32 characters of 0-9 and a-f."""
FORMS: tuple[Form, ...] = ("uuid", "hex")

Reader = Callable[..., Awaitable[Any]]
"""`async (api, **arguments) -> result | None`: the result of the write as it stands, None when it is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKey:
    """The provider keeps the first answer under our key, for `ttl` seconds (None: forever), and gives it again.

    The key goes into `header`, or into `field` of the body (a dotted path; of a GraphQL request: of its variables) of
    the requests with these `methods`. `replayed` is the header that marks an answer given again. `doubtful` are the
    provider's codes that refuse a repeat without saying how the first request ended (it still runs, it differed).
    """

    header: str = ""
    field: str = ""
    ttl: float | None = 24 * 3600.0
    replayed: str = ""
    doubtful: tuple[str, ...] = ()
    form: Form = "uuid"
    methods: tuple[str, ...] = ("POST",)

    def __post_init__(self) -> None:
        if bool(self.header) == bool(self.field):
            raise ConfigurationError("once=ProviderKey(…) needs either header= or field=.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NaturalKey:
    """Doing it again leads to the same state. With `field` we choose the object's id and put it there, in the body.

    `done` are the codes of ours that a repeat ends with when the first request did happen: `not_found` for a deletion.
    """

    field: str = ""
    done: tuple[str, ...] = ("already_done",)
    form: Form = "hex"
    methods: tuple[str, ...] = ("POST",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """The request names the version it changes (ETag, sha, number), so a second one is refused as `conflict`.

    `done` as in `NaturalKey`.
    """

    done: tuple[str, ...] = ("already_done",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """`text`, with `{marker}` in it, is added at the end of `field` of the body, or put there when it is empty.

    The tool's `verify` gets the mark as `marker` and searches for it. It must be a text that people do not mind.
    """

    field: str
    text: str = "{marker}"
    methods: tuple[str, ...] = ("POST",)

    def __post_init__(self) -> None:
        if "{marker}" not in self.text:
            raise ConfigurationError("once=Marker(text=…) needs {marker} in it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The object is made as a draft and then sent. The tool names it in between (`api.reference(id)`).

    Without a reference nothing was sent; with one, the tool's `verify` gets it as `reference` and looks.
    """


Once = ProviderKey | NaturalKey | Guarded | Marker | Draft


@dataclass(frozen=True, slots=True)
class Look:
    """How to find out whether a write happened: `read` it, first `after` seconds after it was sent, at most `tries`
    times, `every` seconds. The times are for providers that show a change late."""

    read: Reader
    after: float = 1.0
    tries: int = 3
    every: float = 2.0

    def takes(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the values that the reader has parameters for."""
        names = list(inspect.signature(self.read).parameters)[1:]
        return {name: given[name] for name in names if name in given}


def repeatable(once: Once | None) -> bool:
    """Can the write be sent again without doing it twice, whatever became of the first request?"""
    return isinstance(once, ProviderKey | NaturalKey | Guarded)


def check_declared(name: str, once: Once | None, verify: Reader | Look | None) -> Look | None:
    """The look of a tool. Raises `ConfigurationError` when the declaration cannot work."""
    if isinstance(once, Marker | Draft) and verify is None:
        raise ConfigurationError(f"tool {name}: once={type(once).__name__}(…) needs verify=, the read that looks.")
    if verify is None or isinstance(verify, Look):
        return verify
    return Look(verify)


def key_of(seed: str, position: int, form: Form) -> str:
    """The key of one request of a write: the same at every repeat."""
    digest = hashlib.sha256(f"{seed}/{position}".encode()).digest()[:16]
    return digest.hex() if form == "hex" else str(uuid.UUID(bytes=digest, version=4))


def fill(body: Any, path: str, text: str, *, add: bool) -> Any:
    """A copy of `body` with `text` at a dotted path, or with it added (`add`) to the text there; ids stay when given.

    A value on the way that is JSON as text, as form fields hold it, is opened and closed again. A number in the path is
    the place in a list, where something stands already.
    """
    head, _, rest = path.partition(".")
    rows = as_list(body)
    if rows is not None:
        place = int(head)
        item = rows[place]
        filled = fill(item, rest, text, add=add) if rest else f"{item}{text}" if add else item
        return [*rows[:place], filled, *rows[place + 1 :]]
    copy: dict[str, Any] = dict(body or {})
    present = copy.get(head)
    if rest and isinstance(present, str) and present.startswith("{"):
        copy[head] = json.dumps(fill(json.loads(present), rest, text, add=add))
    elif rest:
        copy[head] = fill(present, rest, text, add=add)
    elif add:
        copy[head] = f"{present or ''}{text}"
    elif present is None:
        copy[head] = text
    return copy
