"""Schemes as plain data, from TOML or JSON: the same names as in Python.

A scheme is an object with the fields of `Scheme`; each proof is an object with a `kind`. With one proof its fields may
stand beside the scheme's: `{"kind": "hmac", "signature": "X-Signature", "prefix": "sha256="}`.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from types import UnionType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from clew.core.errors import ConfigurationError
from clew.core.fields import as_list, as_object
from clew.core.webhooks.attempts import Proof
from clew.core.webhooks.handshakes import Handshake
from clew.core.webhooks.keyplaces import KeyUrl
from clew.core.webhooks.scheme import Scheme
from clew.core.webhooks.sharedsecrets import ClientCertificate, SharedSecret
from clew.core.webhooks.signatures import BodyHash, Hmac, PublicKey
from clew.core.webhooks.times import Timestamp
from clew.core.webhooks.tokens import Jwt

KINDS: Mapping[str, type[Any]] = {
    "hmac": Hmac,
    "public_key": PublicKey,
    "jwt": Jwt,
    "shared_secret": SharedSecret,
    "client_certificate": ClientCertificate,
}
_NESTED = (Timestamp, BodyHash, KeyUrl)


def declare(data: Any, *, name: str = "declared") -> Scheme:
    """The scheme that an object declares. Raises `ConfigurationError` that names the mistake."""
    found = as_object(data)
    if found is None:
        raise ConfigurationError("a webhook scheme is declared as an object.")
    own = {field.name for field in fields(Scheme) if field.init}
    given = {key: value for key, value in found.items() if key in own and key not in ("proof", "handshakes")}
    rest = {key: value for key, value in found.items() if key not in own}
    if "proof" in found:
        if rest:
            raise ConfigurationError(_unknown(next(iter(rest)), own))
        listed = as_list(found["proof"])
        proofs = tuple(_proof(each) for each in ([found["proof"]] if listed is None else listed))
    else:
        proofs = (_proof(rest),)
    handshakes = tuple(_made(Handshake, each) for each in as_list(found.get("handshakes")) or [])
    scheme: Scheme = _made(Scheme, {"name": name, **given}, proof=proofs, handshakes=handshakes)
    return scheme


def _proof(data: Any) -> Proof:
    found = dict(as_object(data) or {})
    kind = found.pop("kind", "hmac")
    if kind not in KINDS:
        raise ConfigurationError(f"a webhook proof has no kind {kind!r}; use {', '.join(KINDS)}.")
    made: Proof = _made(KINDS[kind], found)
    return made


def _made(kind: type[Any], data: Any, **more: Any) -> Any:
    found = as_object(data)
    if found is None:
        raise ConfigurationError(f"{kind.__name__} is declared as an object, not {data!r:.40}.")
    hints = get_type_hints(kind)
    declared = {field.name: hints[field.name] for field in fields(kind) if field.init}
    values: dict[str, Any] = {}
    for key, value in found.items():
        if key not in declared:
            raise ConfigurationError(_unknown(key, declared))
        values[key] = _value(kind, key, value, declared[key])
    try:
        return kind(**values, **more)
    except TypeError as error:
        missing = str(error).rpartition(":")[2].strip()
        raise ConfigurationError(f"{kind.__name__} needs {missing}.") from None


def _value(kind: type[Any], key: str, value: Any, hint: Any) -> Any:
    nested = next((each for each in (hint, *get_args(hint)) if each in _NESTED), None)
    if nested is not None:
        return _made(nested, {"place": value} if isinstance(value, str) else value)
    listed = as_list(value)
    value = value if listed is None else tuple(listed)
    if isinstance(value, str) and get_origin(hint) is tuple:
        value = (value,)
    if not _fits(value, hint):
        raise ConfigurationError(f"{kind.__name__}.{key} cannot be {value!r:.40}.")
    return value


def _fits(value: Any, hint: Any) -> bool:
    """Is a value of JSON what a field is declared as?"""
    origin, choices = get_origin(hint), get_args(hint)
    if origin is Literal:
        return isinstance(value, str) and value in choices
    if origin is UnionType:
        return any(_fits(value, each) for each in choices)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(each, choices[0]) for each in cast("Sequence[Any]", value))
    if origin is Mapping:
        keyed = as_object(value)
        return keyed is not None and all(isinstance(each, str) for each in keyed.values())
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint)


def _unknown(key: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(known))}."
    return f"a webhook scheme has no field {key!r}. {hint}"
