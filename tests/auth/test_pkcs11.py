"""A key inside a real PKCS#11 token (SoftHSM2): it seals the vault and never leaves."""

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clew.auth.facts import Facts
from clew.auth.keys import LocalKeys, WrongKeyError
from clew.auth.leases import Leases
from clew.auth.pkcs11 import PIN_VARIABLE, Pkcs11Keys, Token
from clew.auth.places import open_keys
from clew.auth.rotation import Rotation
from clew.auth.vault import Vault, open_vault
from clew.core.database import Database, open_database
from clew.core.errors import ConfigurationError
from clew.core.secret import Secret

from .conftest import WORK, revealed

pytestmark = pytest.mark.anyio

MODULES = [Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/usr/lib64/pkcs11/libsofthsm2.so")]
PIN = "canary-987654"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> str:
    """SoftHSM2 with a token `clew` of its own; the library reads its configuration once per process."""
    pytest.importorskip("pkcs11", reason="the extra pkcs11 is not installed")
    found = next((each for each in MODULES if each.is_file()), None)
    if found is None:
        pytest.skip("SoftHSM2 is not installed (Debian: softhsm2)")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    command = ["softhsm2-util", "--init-token", "--free", "--label", "clew", "--so-pin", "1234", "--pin", PIN]
    subprocess.run(command, check=True, capture_output=True)
    return str(found)


@pytest.fixture
def uri(module: str, request: pytest.FixtureRequest) -> str:
    return f"pkcs11:token=clew;object=k{abs(hash(request.node.name))}?module-path={module}"


@pytest.fixture
def hsm(uri: str) -> Pkcs11Keys:
    return Pkcs11Keys(uri, environ={PIN_VARIABLE: PIN})


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await open_database(tmp_path / "home" / "clew.db")
    yield opened
    await opened.close()


async def put(vault: Vault) -> None:
    await vault.put(WORK, {"token": Secret("t")}, Facts("bearer"))


async def test_a_vault_sealed_by_the_token_opens_again(hsm: Pkcs11Keys, uri: str, database: Database) -> None:
    await put(await open_vault(database, hsm))
    fresh = Pkcs11Keys(uri, environ={PIN_VARIABLE: PIN})
    assert await revealed(await open_vault(database, fresh), "token") == "t"


async def test_the_key_cannot_be_taken_out_of_the_token(hsm: Pkcs11Keys) -> None:
    from pkcs11 import Attribute, exceptions

    key = await hsm.choose()
    assert key.key_id == (await hsm.choose()).key_id

    def look(handle: object) -> tuple[bool, bool, bool]:
        with pytest.raises(exceptions.AttributeSensitive):
            handle[Attribute.VALUE]  # type: ignore[index]  # pyright: ignore
        return (
            handle[Attribute.SENSITIVE],  # type: ignore[index]  # pyright: ignore
            handle[Attribute.EXTRACTABLE],  # type: ignore[index]  # pyright: ignore
            handle[Attribute.ALWAYS_SENSITIVE],  # type: ignore[index]  # pyright: ignore
        )

    assert await hsm.use(key, look) == (True, False, True)  # type: ignore[arg-type]  # pyright: ignore


async def test_what_the_token_wrapped_opens_only_with_its_key_and_context(hsm: Pkcs11Keys) -> None:
    first, second = await hsm.choose(), await hsm.renew()
    wrapped = await first.wrap(b"d" * 32, context=b"tenant")
    assert await first.unwrap(wrapped, context=b"tenant") == b"d" * 32
    for opener, content, context in [
        (second, wrapped, b"tenant"),
        (first, wrapped, b"another"),
        (first, wrapped[:-1], b"tenant"),
        (first, wrapped[:20], b"tenant"),
        (first, b"", b"tenant"),
    ]:
        with pytest.raises(WrongKeyError, match="Nothing was changed"):
            await opener.unwrap(content, context=context)
    assert (await hsm.choose()).key_id == second.key_id


async def test_a_key_that_is_not_in_the_token_is_named(hsm: Pkcs11Keys) -> None:
    key = await hsm.choose()
    gone = await hsm.find(key.key_id.rpartition("/")[0] + "/00ff")
    with pytest.raises(WrongKeyError, match=r"/00ff, which is not in the token"):
        await gone.unwrap(b"x" * 60, context=b"")


async def test_a_vault_moves_from_a_file_into_the_token_and_on_to_the_next_key(
    uri: str, database: Database, leases: Leases, tmp_path: Path
) -> None:
    file = tmp_path / "master.key"
    await put(await open_vault(database, LocalKeys(file, place="file", environ={}, warn=lambda text: None)))
    keys = open_keys(uri, file, environ={PIN_VARIABLE: PIN})
    rotation = Rotation(database, keys, leases)
    moved = await rotation.rotate_keys()
    assert str(moved.key_id).startswith("pkcs11:clew/")
    file.unlink()
    assert await revealed(await open_vault(database, keys), "token") == "t"
    again = await rotation.rotate_keys()
    assert again.key_id != moved.key_id
    assert await revealed(await open_vault(database, keys), "token") == "t"


async def test_a_wrong_pin_is_one_sentence_and_does_not_show(uri: str) -> None:
    keys = Pkcs11Keys(uri, environ={PIN_VARIABLE: "canary-wrong"})
    with pytest.raises(ConfigurationError, match="does not accept the PIN") as caught:
        await keys.choose()
    assert "canary" not in str(caught.value)


async def test_a_pin_can_stand_in_a_private_file(uri: str, tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    pin.write_text(PIN + "\n")
    pin.chmod(0o600)
    key = await Pkcs11Keys(f"{uri}&pin-source=file:{pin}", environ={}).choose()
    assert await key.unwrap(await key.wrap(b"d" * 32, context=b""), context=b"") == b"d" * 32
    pin.chmod(0o644)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {pin}"):
        await Pkcs11Keys(f"{uri}&pin-source={pin}", environ={}).choose()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await Pkcs11Keys(f"{uri}&pin-source={tmp_path / 'none'}", environ={}).choose()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("token=clew", "token=other"), "offers no token of this label"),
        (("libsofthsm2.so", "no.so"), "does not load"),
    ],
)
async def test_a_token_or_module_that_is_not_there_is_named(uri: str, change: tuple[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        await Pkcs11Keys(uri.replace(*change), environ={PIN_VARIABLE: PIN}).choose()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("pkcs11:", "lacks token and object and module-path"),
        ("pkcs11:token=a;object=b", "lacks module-path"),
        ("pkcs11:token=a;object=b?module-path=/m&pin-value=canary", "settings are no place"),
        ("pkcs11:token=a;object=b;serial=1?module-path=/m", "has serial, which is not understood"),
    ],
)
def test_a_uri_that_is_not_understood_is_refused_with_the_form(setting: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        Token.parse(setting)
    assert "canary" not in str(caught.value)


def test_names_in_a_uri_can_be_quoted() -> None:
    assert Token.parse("pkcs11:token=My%20token;object=k?module-path=/m") == Token("/m", "My token", "k")
