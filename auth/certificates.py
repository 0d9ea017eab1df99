"""Client certificates (RFC 8705): from the vault, or from files that are replaced while we run."""

import logging
import os
import secrets
import ssl
import tempfile
import time
from pathlib import Path

from clew.auth.assertions import pem
from clew.core.errors import ConfigurationError
from clew.core.secret import Secret
from clew.core.values import dataclass

log = logging.getLogger("clew.auth")

EXTENSION = "clew_identity"
"""Where a request carries the certificate and the key that it shows in TLS, both `Secret`."""

WARN_FRACTION = 0.1
"""A certificate that has less than this part of its life left is worth a warning."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate chain and its key, both PEM, and the certificate's life in UTC seconds."""

    certificate: Secret
    key: Secret
    begins_at: float
    ends_at: float

    @property
    def ends_soon(self) -> bool:
        """Is less than a tenth of its life left?"""
        return time.time() > self.ends_at - (self.ends_at - self.begins_at) * WARN_FRACTION


def read_identity(certificate: Secret, key: Secret) -> Identity:
    """Check that both can be read and belong together. Raises `ConfigurationError`."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        parsed = x509.load_pem_x509_certificate(pem(certificate).encode())
        private = load_pem_private_key(pem(key).encode(), None)
    except (ValueError, TypeError):
        raise ConfigurationError("The client certificate or its key cannot be read: give PEM files.") from None
    if parsed.public_key() != private.public_key():
        raise ConfigurationError("The client certificate and the private key do not belong together.")
    begins, ends = parsed.not_valid_before_utc.timestamp(), parsed.not_valid_after_utc.timestamp()
    return Identity(certificate, key, begins, ends)


class WatchedIdentity:
    """A certificate in files that are replaced while we run (SPIFFE, cert-manager): read again when they change."""

    def __init__(self, certificate_file: Path, key_file: Path) -> None:
        self._files = (certificate_file, key_file)
        self._seen: tuple[tuple[int, int, int], ...] = ()
        self._identity: Identity | None = None
        self._warned = 0.0

    def current(self) -> Identity:
        """The identity in the files now. While a replacement is half written, the one before it; a certificate that has
        ended is a `ConfigurationError`, one that ends soon a warning in the log."""
        try:
            seen = tuple(_stamp(file) for file in self._files)
            if seen != self._seen or self._identity is None:
                certificate, key = (Secret(file.read_text(encoding="utf-8")) for file in self._files)
                self._identity, self._seen = read_identity(certificate, key), seen
        except (OSError, UnicodeDecodeError, ConfigurationError) as error:
            if self._identity is None or self._identity.ends_at <= time.time():
                why = error if isinstance(error, ConfigurationError) else "it cannot be read"
                raise ConfigurationError(f"The client certificate {self._files[0]} is not usable: {why}") from None
        self._watch(self._identity)
        return self._identity

    def _watch(self, identity: Identity) -> None:
        left = identity.ends_at - time.time()
        if left <= 0:
            raise ConfigurationError(f"The client certificate {self._files[0]} has ended; put a new one in its place.")
        if identity.ends_soon and self._warned != identity.ends_at:
            self._warned = identity.ends_at
            log.warning("the client certificate %s ends in %.0f minutes", self._files[0], left / 60)


_watched: dict[tuple[str, str], WatchedIdentity] = {}


def watched(certificate_file: str, key_file: str) -> Identity:
    """The identity in two files, remembered between calls."""
    files = (certificate_file, key_file)
    if files not in _watched:
        _watched[files] = WatchedIdentity(Path(certificate_file), Path(key_file))
    return _watched[files].current()


def context(certificate: Secret, key: Secret) -> ssl.SSLContext:
    """A TLS context that shows this certificate and verifies the server as always.

    Python loads keys from files only: the key goes through one that is encrypted with a password nobody else ever sees.
    """
    import httpx
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    password = secrets.token_hex(32)
    try:
        private = load_pem_private_key(pem(key).encode(), None)
    except (ValueError, TypeError):
        raise ConfigurationError("The key of the client certificate cannot be read: give the PEM file.") from None
    sealed = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
    made = httpx.create_ssl_context()
    handle, name = tempfile.mkstemp(prefix="clew-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem(certificate).encode() + b"\n" + sealed)
        made.load_cert_chain(name, password=password)
    except ssl.SSLError:
        raise ConfigurationError("The client certificate and the private key do not belong together.") from None
    finally:
        Path(name).unlink()
    return made


def _stamp(file: Path) -> tuple[int, int, int]:
    stat = file.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
