"""An exported bundle opens with its passphrase, whole, or not at all."""

import base64
import json

import pytest

from clew.auth.bundle import Moved, export_bundle, import_bundle
from clew.auth.facts import Facts
from clew.auth.vault import Vault
from clew.core.connection import Connection
from clew.core.database import Database
from clew.core.errors import ConfigurationError
from clew.core.secret import Secret

from .conftest import WORK, revealed

pytestmark = pytest.mark.anyio

PASSPHRASE = Secret("correct horse battery")
CANARY = "canary-5f1c9b7e2a"


@pytest.fixture
async def bundle(vault: Vault) -> bytes:
    fields = {"access_token": Secret(CANARY), "refresh_token": Secret("ü")}
    await vault.put(WORK, fields, Facts("oauth2", scopes=("read",), identity="ada"))
    content, moved = await export_bundle(vault, PASSPHRASE, tenant="local")
    assert moved == [Moved(WORK, "exported", renewable=True)]
    return content


async def test_what_was_exported_is_imported_with_its_facts(vault: Vault, bundle: bytes) -> None:
    before = await vault.get(WORK)
    await vault.delete(WORK)
    moved = await import_bundle(vault, bundle, PASSPHRASE, tenant="local", replace_existing=False)
    assert moved == [Moved(WORK, "imported", renewable=True)]
    assert await revealed(vault, "refresh_token") == "ü"
    after = await vault.get(WORK)
    assert before is not None
    assert after is not None
    assert (after.facts.identity, after.facts.scopes) == ("ada", ("read",))
    assert after.facts.generation != before.facts.generation


async def test_what_is_there_stays_unless_it_is_to_be_replaced(vault: Vault, bundle: bytes) -> None:
    await vault.put(WORK, {"token": Secret("mine")}, Facts("bearer"))
    kept = await import_bundle(vault, bundle, PASSPHRASE, tenant="local", replace_existing=False)
    assert [each.did for each in kept] == ["kept"]
    assert await revealed(vault, "token") == "mine"
    replaced = await import_bundle(vault, bundle, PASSPHRASE, tenant="local", replace_existing=True)
    assert [each.did for each in replaced] == ["replaced"]
    assert await revealed(vault, "access_token") == CANARY


async def test_a_damaged_record_is_named_and_the_others_are_exported(vault: Vault, database: Database) -> None:
    await vault.put(WORK, {"token": Secret("a")}, Facts("bearer"))
    await vault.put(Connection("local", "acme", "home"), {"token": Secret("b")}, Facts("bearer"))
    await database.execute("UPDATE vault_connections SET version = 1 WHERE account = 'work'")
    _, moved = await export_bundle(vault, PASSPHRASE, tenant="local")
    assert [(each.connection.account, each.did) for each in moved] == [("home", "exported"), ("work", "damaged")]


async def test_the_file_shows_nothing_but_how_it_is_sealed(bundle: bytes) -> None:
    header = json.loads(bundle.partition(b"\n")[0])
    assert set(header) == {"format", "version", "kdf", "cipher", "nonce"}
    body = base64.b64decode(bundle.partition(b"\n")[2])
    for spelling in (CANARY.encode(), base64.b64encode(CANARY.encode()), b"acme", b"ada"):
        assert spelling not in bundle
        assert spelling not in body


async def test_a_wrong_passphrase_stores_nothing(vault: Vault, bundle: bytes) -> None:
    await vault.delete(WORK)
    with pytest.raises(ConfigurationError, match=r"does not open this bundle.*Nothing was stored"):
        await import_bundle(vault, bundle, Secret("wrong horse battery"), tenant="local", replace_existing=False)
    assert await vault.list(tenant="local") == []


@pytest.mark.parametrize("place", ["header", "nonce", "body", "tail"])
async def test_a_changed_byte_anywhere_is_refused(vault: Vault, bundle: bytes, place: str) -> None:
    header, _, body = bundle.partition(b"\n")
    changed = {
        "header": header.replace(b'"cipher"', b'"Cipher"') + b"\n" + body,
        "nonce": header[:-4] + (b"A" if header[-4:-3] != b"A" else b"B") + header[-3:] + b"\n" + body,
        "body": header + b"\n" + (b"A" if body[:1] != b"A" else b"B") + body[1:],
        "tail": bundle[:-9],
    }[place]
    assert changed != bundle
    await vault.delete(WORK)
    with pytest.raises(ConfigurationError, match="Nothing was stored"):
        await import_bundle(vault, changed, PASSPHRASE, tenant="local", replace_existing=False)
    assert await vault.list(tenant="local") == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no bundle of clew"),
        (b"\xff\xfe", "no bundle of clew"),
        (b"[]\n", "no bundle of clew"),
        (b'{"format": "clew bundle", "version": 2}\n', "newer version of clew"),
        (b'{"format": "clew bundle", "version": 1}\n', "no bundle of clew"),
        (
            b'{"format": "clew bundle", "version": 1, "nonce": "AAAAAAAAAAAAAAAA", '
            b'"kdf": {"n": 1073741824, "r": 8, "p": 1, "salt": "AAAA"}}\nAAAA',
            "no bundle of clew",
        ),
    ],
)
async def test_what_is_no_bundle_is_refused_without_effort(vault: Vault, content: bytes, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        await import_bundle(vault, content, PASSPHRASE, tenant="local", replace_existing=False)


async def test_a_short_passphrase_is_refused(vault: Vault) -> None:
    with pytest.raises(ConfigurationError, match="at least 12"):
        await export_bundle(vault, Secret("short"), tenant="local")
