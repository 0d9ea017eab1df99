"""A key-encryption key in a PKCS#11 token (an HSM, a smart card, SoftHSM2): AES-256-GCM inside it, never outside.

`key_provider` is a PKCS#11 URI (RFC 7512): `pkcs11:token=NAME;object=LABEL?module-path=/usr/lib/…/libsofthsm2.so`.
The PIN comes from `CLEW_PKCS11_PIN`, from the file that `pin-source` names, or from the system keyring (service `clew`,
user `pkcs11-pin`); never from the URI itself. Keys with that label are told apart by their id; the highest is the
present one. Needs the extra `pkcs11`.
"""

import asyncio
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from clew.auth.keys import KeyProvider, WrongKeyError, ask_keyring
from clew.core.errors import ConfigurationError, TransientError
from clew.core.secret import Secret
from clew.core.values import dataclass

T = TypeVar("T")

PREFIX = "pkcs11:"
PIN_VARIABLE = "CLEW_PKCS11_PIN"
_FORM = "pkcs11:token=NAME;object=LABEL?module-path=/path/to/module.so"
_ONE_AT_A_TIME = threading.Lock()
"""A login belongs to the process, not to a session."""


@dataclass(frozen=True, slots=True)
class Token:
    """Where the keys are: the module's file, the token's label, the keys' label, and how to get the PIN."""

    module: str
    token: str
    label: str
    pin_source: str | None = None

    @classmethod
    def parse(cls, uri: str) -> "Token":
        """Read a PKCS#11 URI. Raises `ConfigurationError` saying what is missing."""
        path, _, query = uri.removeprefix(PREFIX).partition("?")
        path_parts = _attributes(path, ";")
        parts = path_parts | _attributes(query, "&")
        if "pin-value" in parts:
            raise ConfigurationError(
                f"key_provider holds a PIN, and settings are no place for one: set {PIN_VARIABLE}, or pin-source."
            )
        missing = [name for name in ("token", "object", "module-path") if not parts.get(name)]
        unknown = sorted(set(parts) - {"token", "object", "module-path", "pin-source", "type"})
        if missing or unknown:
            what = f"lacks {' and '.join(missing)}" if missing else f"has {', '.join(unknown)}, which is not understood"
            raise ConfigurationError(f"key_provider {what}; the form is {_FORM}")
        return cls(parts["module-path"], parts["token"], parts["object"], parts.get("pin-source"))

    def pin(self, environ: Mapping[str, str]) -> Secret:
        """The PIN. Raises `ConfigurationError` when there is none."""
        if environ.get(PIN_VARIABLE):
            return Secret(environ[PIN_VARIABLE])
        if self.pin_source is not None:
            return _pin_from_file(self.pin_source)
        found = ask_keyring(lambda ring: ring.get_password("clew", "pkcs11-pin"))
        if not found:
            raise ConfigurationError(
                f"The PIN of the token {self.token!r} is missing: set {PIN_VARIABLE}, name a file with pin-source, or "
                "put it into the system keyring (service clew, user pkcs11-pin)."
            )
        return Secret(found)


@dataclass(frozen=True, slots=True)
class Pkcs11Key:
    """One AES key of a token, by its id."""

    keys: "Pkcs11Keys"
    object_id: bytes

    @property
    def key_id(self) -> str:
        """Token, label and id of the key."""
        return f"{PREFIX}{self.keys.token.token}/{self.keys.token.label}/{self.object_id.hex()}"

    @property
    def place(self) -> str:
        """For people."""
        return f"the token {self.keys.token.token!r}, key {self.keys.token.label!r}"

    async def wrap(self, data_key: bytes, *, context: bytes) -> bytes:
        """12 bytes of nonce, then what the token sealed."""
        import pkcs11

        nonce = secrets.token_bytes(12)
        param = pkcs11.GCMParams(nonce, context, 128)

        def seal(key: Any) -> bytes:
            return bytes(key.encrypt(data_key, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=param))

        return nonce + await self.keys.use(self, seal)

    async def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Open what `wrap` sealed, inside the token."""
        import pkcs11
        from pkcs11 import exceptions

        def open_it(key: Any) -> bytes:
            param = pkcs11.GCMParams(wrapped[:12], context, 128)
            try:
                content: bytes = key.decrypt(wrapped[12:], mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=param)
            except (exceptions.PKCS11Error, ValueError) as error:
                if isinstance(error, _gone()):
                    raise
                raise WrongKeyError(
                    f"The key {self.key_id} does not open this vault's data key, or that was altered. "
                    "Nothing was changed: restore the key or the database from a backup."
                ) from error
            return content

        return await self.keys.use(self, open_it)


class Pkcs11Keys:
    """The keys of one label in one token. Each use opens a session and logs in, for tokens can be pulled and put back;
    it happens once per data key and process."""

    def __init__(self, uri: str, *, environ: Mapping[str, str] = os.environ) -> None:
        self.token = Token.parse(uri)
        self._environ = environ

    def knows(self, key_id: str) -> bool:
        """Ids name token and label."""
        return key_id.startswith(f"{PREFIX}{self.token.token}/{self.token.label}/")

    async def find(self, key_id: str) -> KeyProvider:
        """The key of this id; the token is asked when it is used."""
        return Pkcs11Key(self, bytes.fromhex(key_id.rpartition("/")[2]))

    async def choose(self) -> KeyProvider:
        """The key with the highest id, made in the token when it has none of this label."""
        found = await asyncio.to_thread(self._in_session, lambda session: max(self._ids(session), default=None))
        return await self.renew() if found is None else Pkcs11Key(self, found)

    async def renew(self) -> KeyProvider:
        """Make a new key in the token: sensitive, never extractable, good for nothing but this."""

        def make(session: Any) -> bytes:
            from pkcs11 import Attribute, KeyType

            # The time, so that a later key has a higher id; chance, so that two machines never make the same.
            object_id = max([time.time_ns().to_bytes(8, "big"), *(each[:8] for each in self._ids(session))])
            object_id += secrets.token_bytes(8)
            kind = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True}
            uses = {Attribute.ENCRYPT: True, Attribute.DECRYPT: True}
            others = (Attribute.SIGN, Attribute.VERIFY, Attribute.WRAP, Attribute.UNWRAP)
            template = kind | uses | dict.fromkeys(others, False)
            session.generate_key(KeyType.AES, 256, label=self.token.label, id=object_id, store=True, template=template)
            return object_id

        return Pkcs11Key(self, await asyncio.to_thread(self._in_session, make, write=True))

    async def use(self, key: Pkcs11Key, job: Callable[[Any], T]) -> T:
        """Run `job` with the key's handle, in a thread of its own."""

        def with_key(session: Any) -> T:
            from pkcs11 import ObjectClass, exceptions

            try:
                handle = session.get_key(object_class=ObjectClass.SECRET_KEY, label=self.token.label, id=key.object_id)
            except exceptions.NoSuchKey:
                raise WrongKeyError(
                    f"The vault was sealed with the key {key.key_id}, which is not in the token. Nothing was changed: "
                    "restore the key, or name the right token in key_provider."
                ) from None
            return job(handle)

        return await asyncio.to_thread(self._in_session, with_key)

    def _ids(self, session: Any) -> list[bytes]:
        from pkcs11 import Attribute, KeyType, ObjectClass

        wanted = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.LABEL: self.token.label,
        }
        return [bytes(found.id) for found in session.get_objects(wanted)]

    def _in_session(self, job: Callable[[Any], T], *, write: bool = False) -> T:
        with _ONE_AT_A_TIME, self._explained():
            import pkcs11

            token = pkcs11.lib(self.token.module).get_token(token_label=self.token.token)
            with token.open(user_pin=self.token.pin(self._environ).reveal(), rw=write) as session:
                return job(session)

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            from pkcs11 import exceptions
        except ImportError:
            raise ConfigurationError("A PKCS#11 token needs one more package: pip install 'clew[pkcs11]'") from None
        name = f"The PKCS#11 token {self.token.token!r}"
        try:
            yield
        except exceptions.NoSuchToken:
            raise ConfigurationError(
                f"{name} is not there; {self.token.module} offers no token of this label."
            ) from None
        except exceptions.MultipleTokensReturned:
            raise ConfigurationError(f"{name} is there several times; give each its own label.") from None
        except (exceptions.PinIncorrect, exceptions.PinInvalid, exceptions.PinLenRange):
            raise ConfigurationError(
                f"{name} does not accept the PIN. It was tried once; tokens lock after a few."
            ) from None
        except exceptions.PinLocked:
            raise ConfigurationError(
                f"{name} is locked: its PIN was wrong too often. Its officer can unlock it."
            ) from None
        except _gone() as error:
            raise TransientError(f"{name} does not answer at the moment ({type(error).__name__}).") from None
        except exceptions.PKCS11Error as error:
            why = (
                type(error).__name__
                if type(error) is not exceptions.PKCS11Error
                else f"{self.token.module} does not load"
            )
            raise ConfigurationError(f"{name} cannot be used: {why}.") from None


def _gone() -> tuple[type[Exception], ...]:
    from pkcs11 import exceptions

    return (exceptions.DeviceRemoved, exceptions.DeviceError, exceptions.TokenNotPresent, exceptions.SessionClosed)


def _attributes(text: str, separator: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(separator) if part]
    return {name.strip(): unquote(value) for name, _, value in pairs}


def _pin_from_file(source: str) -> Secret:
    path = Path(urlsplit(source).path if source.startswith("file:") else source)
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The PIN file {path} cannot be read: {error}.") from None
    if mode & 0o077:
        raise ConfigurationError(f"The PIN file {path} can be read by others. Run: chmod 600 {path}")
    if not text:
        raise ConfigurationError(f"The PIN file {path} is empty.")
    return Secret(text)
