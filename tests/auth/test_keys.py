"""Where the master key comes from, and what happens when it is the wrong one."""

# ruff: noqa: ASYNC240

import base64
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.null
import pytest

from clew.auth.keys import MASTER_KEY_VARIABLE, LocalKey, LocalKeys, WrongKeyError
from clew.core.errors import ConfigurationError

pytestmark = pytest.mark.anyio

KEY = base64.b64encode(b"k" * 32).decode()


class MemoryRing(keyring.backend.KeyringBackend):
    """A keyring that works, for as long as the test runs."""

    priority = 1.0  # pyright: ignore[reportAssignmentType]

    def __init__(self) -> None:
        self.content: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.content.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.content[service, username] = password


class BrokenRing(MemoryRing):
    """A keyring whose service is gone."""

    def get_password(self, service: str, username: str) -> str | None:
        raise RuntimeError("org.freedesktop.secrets was not provided")


@pytest.fixture
def ring() -> Iterator[MemoryRing]:
    before = keyring.get_keyring()
    ring = MemoryRing()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


@pytest.fixture
def no_ring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.null.Keyring())  # type: ignore[no-untyped-call]
    yield
    keyring.set_keyring(before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "master.key"


async def test_the_environment_wins_and_neither_keyring_nor_file_is_touched(ring: MemoryRing, file: Path) -> None:
    key = await LocalKeys(file, environ={MASTER_KEY_VARIABLE: KEY}).choose()
    assert key.place == MASTER_KEY_VARIABLE
    assert ring.content == {}
    assert not file.exists()


async def test_a_working_keyring_keeps_a_new_key_and_gives_it_back(ring: MemoryRing, file: Path) -> None:
    first = await LocalKeys(file, environ={}).choose()
    second = await LocalKeys(file, environ={}, place="keyring").choose()
    assert first.key_id == second.key_id
    assert first.place == "the system keyring"
    assert not file.exists()


@pytest.mark.usefixtures("no_ring")
async def test_without_a_keyring_a_private_file_is_made_with_one_warning(file: Path) -> None:
    warnings: list[str] = []
    first = await LocalKeys(file, environ={}, warn=warnings.append).choose()
    second = await LocalKeys(file, environ={}, warn=warnings.append).choose()
    assert first.key_id == second.key_id
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(warnings) == 1
    assert str(file) in warnings[0]
    assert [found.name for found in file.parent.iterdir()] == ["master.key"]


async def test_a_keyring_that_fails_counts_as_none(
    ring: MemoryRing, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keyring.set_keyring(BrokenRing())
    with caplog.at_level(logging.INFO):
        key = await LocalKeys(file, environ={}).choose()
    assert key.place == str(file)
    assert "RuntimeError" in caplog.text


@pytest.mark.usefixtures("no_ring")
async def test_an_asked_for_keyring_that_is_missing_is_an_error_and_no_file_appears(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="keyring cannot be used"):
        await LocalKeys(file, environ={}, place="keyring").choose()
    assert not file.exists()


async def test_an_asked_for_environment_key_that_is_missing_says_how_to_make_one(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="openssl rand -base64 32"):
        await LocalKeys(file, environ={}, place="env").choose()


async def test_an_unknown_provider_is_refused_with_the_choices(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="auto, env, keyring or file"):
        LocalKeys(file, place="vault")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
async def test_a_key_file_that_others_can_reach_is_refused_with_the_command(file: Path, mode: int) -> None:
    file.parent.mkdir()
    file.write_text(KEY)
    file.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {file}"):
        await LocalKeys(file, environ={}, place="file").choose()
    assert file.read_text() == KEY


@pytest.mark.parametrize("content", ["", "not base64 !", base64.b64encode(b"short").decode(), "é" * 44])
async def test_a_key_of_the_wrong_form_is_refused_and_kept(file: Path, content: str) -> None:
    file.parent.mkdir()
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(ConfigurationError):
        await LocalKeys(file, environ={}, place="file").choose()
    assert file.read_text() == content


async def test_a_wrong_environment_key_is_refused_without_showing_it(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="32 bytes") as caught:
        await LocalKeys(file, environ={MASTER_KEY_VARIABLE: "hunter2"}).choose()
    assert "hunter2" not in str(caught.value)


@pytest.mark.usefixtures("no_ring")
async def test_a_place_that_cannot_hold_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(ConfigurationError, match=r"master\.key"):
        await LocalKeys(tmp_path / "home" / "master.key", environ={}).choose()


async def test_a_key_is_found_again_by_its_id_wherever_it_lives(ring: MemoryRing, file: Path) -> None:
    in_file = await LocalKeys(file, environ={}, place="file").choose()
    in_ring = await LocalKeys(file, environ={}, place="keyring").choose()
    everywhere = LocalKeys(file, environ={MASTER_KEY_VARIABLE: KEY})
    assert (await everywhere.find(in_ring.key_id)).place == "the system keyring"
    assert (await everywhere.find(in_file.key_id)).place == str(file)


@pytest.mark.usefixtures("no_ring")
async def test_a_missing_key_is_named_and_none_is_made_in_its_place(file: Path) -> None:
    with pytest.raises(WrongKeyError, match=r"0123456789abcdef.*but no key was found.*Nothing was changed"):
        await LocalKeys(file, environ={}).find("0123456789abcdef")
    assert not file.exists()


async def test_a_wrapped_data_key_opens_only_with_its_key_and_context() -> None:
    key, other = LocalKey(b"k" * 32, "here"), LocalKey(b"o" * 32, "there")
    wrapped = await key.wrap(b"d" * 32, context=b"tenant")
    assert await key.unwrap(wrapped, context=b"tenant") == b"d" * 32
    for opener, content, context in [
        (other, wrapped, b"tenant"),
        (key, wrapped, b"another"),
        (key, wrapped[:-1], b"tenant"),
        (key, b"", b"tenant"),
    ]:
        with pytest.raises(WrongKeyError, match="Nothing was changed"):
            await opener.unwrap(content, context=context)


def test_a_key_does_not_show_itself() -> None:
    assert "kkkk" not in repr(LocalKey(b"k" * 32, "here"))
