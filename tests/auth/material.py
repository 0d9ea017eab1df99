"""Keys and certificates for tests, and what a token is made from without a vault."""

import datetime
import ipaddress
from dataclasses import dataclass, field
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from clew.auth.facts import Facts
from clew.core.connection import Connection
from clew.core.secret import Secret


@dataclass(frozen=True)
class Held:
    """What a token is made from."""

    facts: Facts
    secrets: dict[str, Secret] = field(default_factory=dict[str, Secret])
    connection: Connection = field(default_factory=lambda: Connection("local", "acme", "work"))

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self.secrets)

    def secret(self, name: str) -> Secret | None:
        return self.secrets.get(name)


@cache
def rsa_key() -> str:
    """An RSA key as PEM."""
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@cache
def ec_key(name: str = "") -> str:
    """A P-256 key as PEM, another one for each name."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def certificate(pem: str, *, begins: float = -60, ends: float = 3600) -> str:
    """A self-signed certificate of 127.0.0.1 for a key; its life in seconds from now."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clew test")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(seconds=begins))
        .not_valid_after(now + datetime.timedelta(seconds=ends))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()
