"""What was signed, as a template: `{ts}.{body}`, `v0:{ts}:{body}`, `{method}{url}{body}{ts}`.

    {body}            the raw body                      {ts}  {id}     the texts of the timestamp and of the delivery id
    {method}          in upper case                     {url}          the public URL as the sender saw it
    {host} {path}     of that URL                       {query}        of that URL, {target} path and query
    {secret}          the secret (for plain hashes)     {setting:name} what the operator configured beside the secret
    {sorted_form}     the fields of a form, sorted by name, each name followed by its value
    {sorted_form:&}                                     the same as name=value pairs with & between them; a third part
                                                        names fields that are left out: {sorted_form:&:sign_type}
    {sorted_query:&} {sorted_json:&}                    of the URL's query, of a JSON object without objects in it
    {sorted:query:a|query:b|secret}                     these parts, sorted as texts, with nothing between them
    {body_base64} {sha256} {sha256_base64} {crc32}      of the body (crc32 in decimal digits); md5, sha1, sha384, sha512
    {header:X-Name} {query:name} {form:name} {json:path} {json?:path}   a value; with `?` it may be missing
    {line:json:path} {line?:json:path}                  its last key, a line break, the value, a line break

Anything else stands for itself; `{{` and `}}` are braces.
"""

import base64
import hashlib
import itertools
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NoReturn

from clew.core.errors import ConfigurationError
from clew.core.fields import as_object, as_text
from clew.core.values import dataclass
from clew.core.webhooks.delivery import Delivery, Refused, RefusedError, reader, to_bytes

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(slots=True)
class Filling:
    """What one template is filled with."""

    delivery: Delivery
    url: str = ""
    ts: str = ""
    id: str = ""
    secret: bytes = b""
    settings: Mapping[str, str] | None = None
    signature: str = ""


Piece = Callable[[Filling], bytes]
Picker = Callable[[tuple[bytes, ...]], tuple[bytes, ...]]
_JOINED = ("body", "ts", "id", "url", "method", "secret")


class Template:
    """A compiled template; `uses` are the names in it. Raises `ConfigurationError` when it names what there is not."""

    __slots__ = ("_literals", "_pieces", "_take", "uses")

    def __init__(self, text: str) -> None:
        self._pieces: list[bytes | Piece] = []
        uses: list[str] = []
        end = 0
        for match in _PART.finditer(text):
            self._literal(text[end : match.start()])
            end = match.end()
            name = match[1]
            if match[0] in ("{{", "}}"):
                self._literal(match[0][0])
            elif name is None:
                raise ConfigurationError(f"the template {text!r} has a single brace; write {{{{ or }}}}.")
            else:
                self._pieces.append(_piece(name))
                uses += name.partition(":")[2].split("|") if name.startswith("sorted:") else [name]
        self._literal(text[end:])
        self.uses = frozenset(uses)
        # Most templates hold nothing but these; then one call picks all parts, by their positions.
        places = {_PLAIN[name]: number for number, name in enumerate(_JOINED)}
        self._literals = (b"", *(part for part in self._pieces if isinstance(part, bytes)))
        literals = itertools.count(len(_JOINED) + 1)
        plan = [next(literals) if isinstance(part, bytes) else places.get(part) for part in self._pieces]
        nothing = len(_JOINED)  # twice, because of a single part `itemgetter` makes no tuple
        self._take: Picker | None = None if None in plan else itemgetter(*plan, nothing, nothing)

    def _literal(self, text: str) -> None:
        if text:
            self._pieces.append(text.encode())

    @property
    def is_simple(self) -> bool:
        """Is `join` enough?"""
        return self._take is not None

    def join(self, *values: bytes) -> bytes:
        """The bytes that were signed, by a simple template: of body, ts, id, url, method, secret, in that order."""
        assert self._take is not None
        return b"".join(self._take(values + self._literals))

    def fill(self, filling: Filling) -> bytes:
        """The bytes that were signed. Raises `RefusedError` when something that they need is missing."""
        return b"".join([piece if isinstance(piece, bytes) else piece(filling) for piece in self._pieces])


def _piece(name: str) -> Piece:
    plain = _PLAIN.get(name)
    if plain is not None:
        return plain
    kind, colon, rest = name.partition(":")
    if not colon:
        raise ConfigurationError(f"a template has no {{{name}}}; there are {', '.join(sorted(_PLAIN))}.")
    if kind == "setting":
        return _setting(rest)
    if kind in _PAIRS:
        return _sorted_pairs(kind, rest)
    if kind == "sorted":
        parts = [_piece(each) for each in rest.split("|")]
        return lambda filling: b"".join(sorted(part(filling) for part in parts))
    line, optional = kind.startswith("line"), kind.endswith("?")
    place = rest if line else f"{kind.removesuffix('?')}:{rest}"
    read = reader(place)
    label = f"{re.split(r'[.:]', place)[-1]}\n" if line else ""

    def value(filling: Filling) -> bytes:
        found = read(filling.delivery)
        if found is None and not optional:
            raise RefusedError(Refused.MALFORMED, f"there is no {place}, which is signed")
        if found is None:
            return b""
        return to_bytes(f"{label}{found}\n" if line else found)

    return value


def _setting(name: str) -> Piece:
    def value(filling: Filling) -> bytes:
        found = (filling.settings or {}).get(name)
        if not found:
            raise RefusedError(Refused.NO_SECRET, f"no {name} is configured")
        return found.encode()

    return value


def _sorted_form(filling: Filling) -> bytes:
    delivery = filling.delivery
    if not delivery.body:
        return b""
    if not delivery.is_form:
        # The signature would not cover the body at all.
        raise RefusedError(Refused.MALFORMED, "the body is not a form, which is what was signed")
    if not delivery.form or any(not name for name, _ in delivery.form):
        raise RefusedError(Refused.MALFORMED, "the form has a field without a name, which no signature covers")
    return b"".join([to_bytes(name + value) for name, value in sorted(set(delivery.form))])


_PAIRS: Mapping[str, Callable[[Delivery], Sequence[tuple[str, str]]]] = {
    "sorted_form": lambda delivery: delivery.form if delivery.is_form else _no_pairs("form"),
    "sorted_query": lambda delivery: delivery.query,
    "sorted_json": lambda delivery: _members(delivery.json),
}


def _sorted_pairs(kind: str, rest: str) -> Piece:
    """`JOIN` or `JOIN:name,name`: pairs sorted by name, without the signature itself and those names."""
    between, _, names = rest.partition(":")
    left_out = frozenset(filter(None, names.split(",")))
    pairs, place = _PAIRS[kind], kind.removeprefix("sorted_")

    def value(filling: Filling) -> bytes:
        own, _, name = filling.signature.partition(":")
        gone = left_out | {name} if own == place else left_out
        listed = sorted(pair for pair in pairs(filling.delivery) if pair[0] not in gone)
        return to_bytes(between.join(f"{name}={value}" for name, value in listed))

    return value


def _members(data: Any) -> list[tuple[str, str]]:
    found = as_object(data)
    if found is None or any(isinstance(value, dict | list) for value in found.values()):
        _no_pairs("flat JSON object")
    return [(name, as_text(value)) for name, value in (found or {}).items() if value is not None]


def _no_pairs(what: str) -> NoReturn:
    raise RefusedError(Refused.MALFORMED, f"the body is no {what}, which is what was signed")


def _hashed(name: str) -> tuple[Piece, Piece]:
    def raw(filling: Filling) -> bytes:
        return hashlib.new(name, filling.delivery.body, usedforsecurity=False).digest()

    return lambda filling: raw(filling).hex().encode(), lambda filling: base64.b64encode(raw(filling))


_HASHES = {name: _hashed(name) for name in ("md5", "sha1", "sha256", "sha384", "sha512")}


def _host(filling: Filling) -> bytes:
    return filling.delivery.parts.netloc.encode("utf-8", "surrogatepass")


def _target(filling: Filling) -> bytes:
    parts = filling.delivery.parts
    return to_bytes((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


_PLAIN: Mapping[str, Piece] = {
    "body": lambda filling: filling.delivery.body,
    "ts": lambda filling: to_bytes(filling.ts),
    "id": lambda filling: to_bytes(filling.id),
    "method": lambda filling: to_bytes(filling.delivery.method.upper()),
    "url": lambda filling: to_bytes(filling.url),
    "host": _host,
    "path": lambda filling: to_bytes(filling.delivery.parts.path or "/"),
    "query": lambda filling: to_bytes(filling.delivery.parts.query),
    "target": _target,
    "secret": lambda filling: filling.secret,
    "sorted_form": _sorted_form,
    "body_base64": lambda filling: base64.b64encode(filling.delivery.body),
    **{name: pieces[0] for name, pieces in _HASHES.items()},
    **{f"{name}_base64": pieces[1] for name, pieces in _HASHES.items()},
    "crc32": lambda filling: str(zlib.crc32(filling.delivery.body)).encode(),
}
