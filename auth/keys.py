"""Key-encryption keys: where the one key lives that every tenant's data key is wrapped with.

The local places (`key_provider`): `env` (`CLEW_MASTER_KEY`, base64 of 32 bytes), `keyring` (the operating system's),
`file` (mode 0600 beside the database), and `auto`: the environment when it is set, else the keyring when it works, else
the file with a warning. Keys that never leave a token or a cloud are in `pkcs11` and `kms`. Each place can hold several
keys, the present one first. A key that sealed something is found again by its id; when it is missing nothing is created
or overwritten.
"""

import asyncio
import base64
import binascii
import contextlib
import hashlib
import logging
import os
import secrets
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Literal, Protocol, TypeVar, cast

from clew.core.errors import ConfigurationError
from clew.core.values import dataclass

T = TypeVar("T")
KeyPlace = Literal["auto", "env", "keyring", "file"]

MASTER_KEY_VARIABLE = "CLEW_MASTER_KEY"
KEYRING_SERVICE, KEYRING_USER = "clew", "master-key"
KEYRING_PATIENCE_SECONDS = 10.0

_log = logging.getLogger("clew.auth")


class WrongKeyError(ConfigurationError):
    """The key at hand did not seal what it should open, or what it should open was altered."""


class KeyProvider(Protocol):
    """One key-encryption key. The key itself may live elsewhere (a token, a cloud): only wrapping is asked of it."""

    @property
    def key_id(self) -> str:
        """A name for the key that reveals nothing of it."""
        ...

    @property
    def place(self) -> str:
        """Where the key lives, in words for people."""
        ...

    async def wrap(self, data_key: bytes, *, context: bytes) -> bytes:
        """Encrypt a data key; `context` must be given again, unchanged, to unwrap it."""
        ...

    async def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Return the data key. Raises `WrongKeyError` when key, content or context do not fit."""
        ...


class Keys(Protocol):
    """Finds key providers."""

    async def find(self, key_id: str) -> KeyProvider:
        """The key of this id. Raises `WrongKeyError` when none of the places holds it."""
        ...

    async def choose(self) -> KeyProvider:
        """The key to seal new data keys with, created when there is none yet."""
        ...

    async def renew(self) -> KeyProvider:
        """A key to seal with from now on: a new one where this place makes keys, else the one it names at present.

        The former keys stay. Raises `ConfigurationError` where only the operator can put a new key.
        """
        ...

    def knows(self, key_id: str) -> bool:
        """Whether a key of this id would be of this kind; says nothing about whether it is there."""
        ...


@dataclass(frozen=True, slots=True)
class LocalKey:
    """A 32-byte key held in this process's memory."""

    key: bytes = field(repr=False)
    place: str

    @property
    def key_id(self) -> str:
        """The first 8 bytes of a hash of the key, as hex."""
        return hashlib.sha256(b"clew key id\x00" + self.key).hexdigest()[:16]

    async def wrap(self, data_key: bytes, *, context: bytes) -> bytes:
        """AES-256-GCM: 12 bytes of nonce, then the sealed data key."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(12)
        return nonce + AESGCM(self.key).encrypt(nonce, data_key, context)

    async def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Open what `wrap` sealed."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            return AESGCM(self.key).decrypt(wrapped[:12], wrapped[12:], context)
        except (InvalidTag, ValueError) as error:
            raise WrongKeyError(
                f"The key {self.key_id} ({self.place}) does not open this vault's data key, or that was altered. "
                "Nothing was changed: restore the key or the database from a backup."
            ) from error


class LocalKeys:
    """The environment, the system keyring and a key file, in the order the configuration asks for."""

    def __init__(
        self,
        file: Path,
        *,
        place: KeyPlace = "auto",
        environ: Mapping[str, str] = os.environ,
        warn: Callable[[str], None] = _log.warning,
    ) -> None:
        self._file = file
        self._place = place
        self._environ = environ
        self._warn = warn
        self._known: dict[str, LocalKey] = {}
        if place not in ("auto", "env", "keyring", "file"):
            raise ConfigurationError(f"key_provider is {place!r}; choose auto, env, keyring or file.")

    async def find(self, key_id: str) -> KeyProvider:
        """Look in every place the configuration allows and return the key that has this id."""
        if key_id not in self._known:
            await asyncio.to_thread(self._look, key_id)
        if key_id in self._known:
            return self._known[key_id]
        found = ", ".join(f"{key.key_id} ({key.place})" for key in self._known.values()) or "no key"
        raise WrongKeyError(
            f"The vault was sealed with the key {key_id}, but {found} was found. Nothing was changed: set "
            f"{MASTER_KEY_VARIABLE} or key_provider so that the right key is used, or restore {self._file}."
        )

    async def choose(self) -> KeyProvider:
        """The first key found, in the order of the places, else a new one in the first place that can hold it."""
        return await asyncio.to_thread(lambda: self._look() or self._create())

    async def renew(self) -> KeyProvider:
        """Put a new key in front of the present one, in the same place; in the environment only its owner can."""
        return await asyncio.to_thread(self._renew)

    def knows(self, key_id: str) -> bool:
        """Local ids have no prefix."""
        return ":" not in key_id

    def _renew(self) -> LocalKey:
        present = self._look() or self._create()
        new = base64.b64encode(secrets.token_bytes(32)).decode()
        if present.place == MASTER_KEY_VARIABLE:
            raise ConfigurationError(
                f"The vault's key is in {MASTER_KEY_VARIABLE}, which only you can change: put a new one in front of it "
                "(new,old), start every server again, and run this once more. Make a key with: openssl rand -base64 32"
            )
        if present.place == str(self._file):
            self._write(new + "\n" + self._file.read_text("ascii"), os.replace)
        else:
            texts = ask_keyring(lambda ring: ring.get_password(KEYRING_SERVICE, KEYRING_USER)) or ""
            ask_keyring(lambda ring: ring.set_password(KEYRING_SERVICE, KEYRING_USER, f"{new} {texts}"))
        found = self._look()
        if found is None or found.key_id == present.key_id:
            raise ConfigurationError(f"A new key could not be stored in {present.place}. Nothing was changed.")
        return found

    def _look(self, wanted: str | None = None) -> LocalKey | None:
        """The first key, or the wanted one; later places are not even asked, for a keyring takes long to load."""
        readers: dict[str, Callable[[], list[LocalKey]]] = {
            "env": self._from_environment,
            "keyring": _from_keyring,
            "file": self._from_file,
        }
        for place, read in readers.items():
            for key in read() if self._place in ("auto", place) else ():
                self._known[key.key_id] = key
                if wanted in (None, key.key_id):
                    return key
        return None

    def _create(self) -> LocalKey:
        if self._place == "env":
            raise ConfigurationError(
                f"{MASTER_KEY_VARIABLE} is not set, and key_provider is env: set it to 32 random bytes in base64 "
                "(openssl rand -base64 32)."
            )
        key = _create_in_keyring() if self._place in ("auto", "keyring") else None
        if key is None and self._place == "keyring":
            raise ConfigurationError(
                "This system's keyring cannot be used, and key_provider is keyring: choose file or env."
            )
        if key is None:
            key = self._create_file()
        self._known[key.key_id] = key
        return key

    def _from_environment(self) -> list[LocalKey]:
        text = self._environ.get(MASTER_KEY_VARIABLE, "").strip()
        return _decode(text, MASTER_KEY_VARIABLE) if text else []

    def _from_file(self) -> list[LocalKey]:
        try:
            mode = stat.S_IMODE(self._file.stat().st_mode)
            text = self._file.read_text("ascii")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"The key file {self._file} cannot be read: {error}.") from error
        if mode & 0o077:
            raise ConfigurationError(f"The key file {self._file} can be read by others. Run: chmod 600 {self._file}")
        return _decode(text, str(self._file))

    def _create_file(self) -> LocalKey:
        """Write the file under another name and link it, so that of two processes one wins and both use its key."""
        try:
            self._write(base64.b64encode(secrets.token_bytes(32)).decode() + "\n", os.link)
        except FileExistsError:
            pass
        else:
            self._warn(
                f"No system keyring: the vault's key is in the file {self._file}. Keep it private, and back it up."
            )
        return self._from_file()[0]

    def _write(self, text: str, place: Callable[[Path, Path], None]) -> None:
        new = self._file.with_name(f"{self._file.name}.{secrets.token_hex(4)}")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            place(new, self._file)
            folder = os.open(self._file.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except FileExistsError:
            raise
        except OSError as error:
            raise ConfigurationError(f"The key file {self._file} cannot be written: {error.strerror}.") from error
        finally:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)


def _decode(text: str, place: str) -> list[LocalKey]:
    keys: list[LocalKey] = []
    for each in text.replace(",", " ").split() or [""]:
        try:
            key = base64.b64decode(each, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != 32:
            raise ConfigurationError(
                f"{place} does not hold 32 bytes in base64. Make a key with: openssl rand -base64 32"
            )
        keys.append(LocalKey(key, place))
    return keys


def _from_keyring() -> list[LocalKey]:
    text = ask_keyring(lambda ring: ring.get_password(KEYRING_SERVICE, KEYRING_USER))
    return _decode(text, "the system keyring") if text else []


def _create_in_keyring() -> LocalKey | None:
    """Store a new key and read it back: a keyring that forgets is no keyring."""
    text = base64.b64encode(secrets.token_bytes(32)).decode()
    ask_keyring(lambda ring: ring.set_password(KEYRING_SERVICE, KEYRING_USER, text))
    return next(iter(_from_keyring()), None)


class Ring(Protocol):
    """What is asked of a system keyring."""

    def get_password(self, service: str, username: str) -> str | None: ...
    def set_password(self, service: str, username: str, password: str) -> None: ...


def ask_keyring(question: Callable[[Ring], T]) -> T | None:
    """Ask the system keyring; None when there is none, when it fails or when it waits for a person we cannot see."""
    answers: list[T] = []

    def ask() -> None:
        try:
            import keyring
            from keyring.backends import fail, null

            ring = keyring.get_keyring()
            if not isinstance(ring, fail.Keyring | null.Keyring):
                answers.append(question(cast(Ring, ring)))
        except Exception as error:  # a keyring fails in the ways of its desktop
            _log.info("the system keyring cannot be used: %s", type(error).__name__)

    thread = threading.Thread(target=ask, name="clew-keyring", daemon=True)
    thread.start()
    thread.join(KEYRING_PATIENCE_SECONDS)
    return answers[0] if answers else None
