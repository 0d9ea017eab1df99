"""Moving connections between vaults: an encrypted file that opens with a passphrase and nothing else.

The first line is a JSON header (version, key derivation, nonce), the rest is AES-256-GCM in base64; its tag covers the
header, so no byte of the file can be changed unseen. The passphrase is stretched with scrypt (RFC 7914; N = 2^17,
r = 8, p = 1: 128 MiB and about half a second).
"""

import asyncio
import base64
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from clew.auth.facts import Facts, new_generation
from clew.auth.vault import StaleRecordError, Vault
from clew.core.connection import Connection
from clew.core.errors import AuthRevokedError, ConfigurationError
from clew.core.fields import as_list, as_object
from clew.core.secret import Secret
from clew.core.values import dataclass

FORMAT = "clew bundle"
VERSION = 1
LARGEST = 64 * 1024 * 1024
SHORTEST_PASSPHRASE = 12
_N, _R, _P = 2**17, 8, 1
_WEAKEST, _STRONGEST = 2**14, 2**20


@dataclass(frozen=True, slots=True)
class Moved:
    """What happened to one connection: `exported`, `imported`, `replaced`, `kept` (one was there), `damaged`."""

    connection: Connection
    did: Literal["exported", "imported", "replaced", "kept", "damaged"]
    renewable: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The same for `--json`."""
        each = self.connection
        return {"connector": each.connector, "account": each.account, "tenant": each.tenant, "did": self.did}


async def export_bundle(vault: Vault, passphrase: Secret, *, tenant: str) -> tuple[bytes, list[Moved]]:
    """All connections of a tenant as the content of a bundle file, and what happened to each."""
    check_passphrase(passphrase)
    entries: list[dict[str, Any]] = []
    moved: list[Moved] = []
    for summary in await vault.list(tenant=tenant):
        try:
            record = await vault.get(summary.connection)
            if record is None:
                continue
            fields = {name: record.secret(name) for name in record.fields}
        except AuthRevokedError:
            moved.append(Moved(summary.connection, "damaged"))
            continue
        entries.append(
            {
                "connector": record.connection.connector,
                "account": record.connection.account,
                "facts": record.facts.encode(),
                "fields": fields,
            }
        )
        moved.append(Moved(record.connection, "exported", "refresh_token" in record.fields))
    return await asyncio.to_thread(_seal, passphrase, entries), moved


async def import_bundle(
    vault: Vault, content: bytes, passphrase: Secret, *, tenant: str, replace_existing: bool
) -> list[Moved]:
    """Store the connections of a bundle under `tenant`; those that are there already only with `replace_existing`.

    Raises `ConfigurationError`, with nothing stored, for a wrong passphrase, an altered file or one of a newer version.
    """
    opened = await asyncio.to_thread(_open, content, passphrase)
    entries = [_entry(each, tenant) for each in _entries(opened)]
    return [await _store(vault, *entry, replace_existing=replace_existing) for entry in entries]


async def _store(
    vault: Vault, connection: Connection, facts: Facts, fields: dict[str, Secret], *, replace_existing: bool
) -> Moved:
    stored = await vault.list(tenant=connection.tenant, connector=connection.connector)
    there = any(each.connection == connection for each in stored)
    if there and not replace_existing:
        return Moved(connection, "kept")
    # Whoever still uses the former secrets must see that these are others.
    fresh = replace(facts, generation=new_generation())
    try:
        await vault.put(connection, fields, fresh, expect_version=None if there else 0)
    except StaleRecordError:
        return Moved(connection, "kept")
    return Moved(connection, "replaced" if there else "imported", "refresh_token" in fields)


def check_passphrase(passphrase: Secret) -> None:
    """Raise `ConfigurationError` for one that is too short to protect what leaves this machine."""
    if len(passphrase.reveal()) < SHORTEST_PASSPHRASE:
        raise ConfigurationError(f"The passphrase must have at least {SHORTEST_PASSPHRASE} characters.")


def _seal(passphrase: Secret, entries: Sequence[dict[str, Any]]) -> bytes:
    """Secrets are revealed while JSON is written and nowhere before."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = os.urandom(16), os.urandom(12)
    derivation = {"name": "scrypt", "n": _N, "r": _R, "p": _P, "salt": _text(salt)}
    header = json.dumps(
        {"format": FORMAT, "version": VERSION, "kdf": derivation, "cipher": "aes-256-gcm", "nonce": _text(nonce)}
    ).encode()
    sealed = AESGCM(_stretch(passphrase, salt, _N, _R, _P)).encrypt(
        nonce, json.dumps({"connections": entries}, default=Secret.reveal).encode(), header
    )
    return header + b"\n" + base64.encodebytes(sealed)


def _open(content: bytes, passphrase: Secret) -> Secret:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    header, _, body = content.partition(b"\n")
    try:
        facts = as_object(json.loads(header)) or {}
        if facts.get("format") != FORMAT:
            raise ValueError
        if facts.get("version") != VERSION:
            raise ConfigurationError("This bundle was written by a newer version of clew: upgrade clew.")
        kdf = as_object(facts["kdf"]) or {}
        n, r, p = (int(kdf[name]) for name in ("n", "r", "p"))
        salt, nonce = (base64.b64decode(str(text), validate=True) for text in (kdf["salt"], facts["nonce"]))
        sealed = base64.b64decode(b"".join(body.split()), validate=True)
        if not (_WEAKEST <= n <= _STRONGEST and n & (n - 1) == 0 and 1 <= r <= 16 and 1 <= p <= 4 and len(nonce) == 12):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigurationError("This is no bundle of clew, or it is damaged. Nothing was stored.") from None
    try:
        return Secret(AESGCM(_stretch(passphrase, salt, n, r, p)).decrypt(nonce, sealed, header).decode())
    except (InvalidTag, ValueError):
        raise ConfigurationError(
            "The passphrase does not open this bundle, or the file was altered. Nothing was stored."
        ) from None


def _stretch(passphrase: Secret, salt: bytes, n: int, r: int, p: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase.reveal().encode())


def _entries(opened: Secret) -> Sequence[Any]:
    return as_list((as_object(json.loads(opened.reveal())) or {}).get("connections")) or []


def _entry(entry: Any, tenant: str) -> tuple[Connection, Facts, dict[str, Secret]]:
    try:
        fields = {str(name): Secret(value) for name, value in entry["fields"].items()}
        return Connection(tenant, str(entry["connector"]), str(entry["account"])), Facts.decode(entry["facts"]), fields
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigurationError("A connection in this bundle is not understood. Nothing was stored.") from None


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
