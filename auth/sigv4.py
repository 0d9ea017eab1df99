"""AWS Signature Version 4, as a pure function over a request.

Source: AWS General Reference, "Create a signed AWS API request"; tested with the vectors AWS publishes
(aws-sig-v4-test-suite) and against a server that checks signatures.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from clew.core.errors import ConfigurationError
from clew.core.secret import Secret
from clew.core.values import dataclass

if TYPE_CHECKING:
    import httpx

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = frozenset(
    ("accept", "accept-encoding", "authorization", "connection", "content-length", "expect", "transfer-encoding",
     "user-agent", "x-amzn-trace-id")
)  # fmt: skip
"""Headers that proxies may change on the way."""


@dataclass(frozen=True, slots=True)
class AwsCredentials:
    """What AWS gives to sign with; `session_token` comes with temporary credentials."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "AwsCredentials":
        """`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`. Raises `ConfigurationError`."""
        identity, secret = environ.get("AWS_ACCESS_KEY_ID", ""), environ.get("AWS_SECRET_ACCESS_KEY", "")
        if not identity or not secret:
            raise ConfigurationError("AWS credentials are missing: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
        token = environ.get("AWS_SESSION_TOKEN", "")
        return cls(identity, Secret(secret), Secret(token) if token else None)


def sign(
    request: "httpx.Request", credentials: AwsCredentials, *, region: str, service: str, now: datetime
) -> dict[str, str]:
    """The headers that sign `request`; add them with `request.headers.update`. The request itself is not changed.

    Its body must have been read and be in memory. `now` must have a time zone; AWS refuses a clock 5 minutes off.
    Every header is signed except those that proxies may change. A signature from an earlier attempt is replaced.
    """
    moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    payload = hashlib.sha256(request.content).hexdigest()
    added = {"x-amz-date": moment}
    if credentials.session_token is not None:
        added["x-amz-security-token"] = credentials.session_token.reveal()
    if service == "s3":
        added["x-amz-content-sha256"] = payload
    headers = _canonical_headers(request, added)
    names = ";".join(headers)
    canonical = "\n".join(
        [
            request.method.upper(),
            _canonical_path(request, service),
            _canonical_query(request.url.query),
            *(f"{name}:{value}" for name, value in headers.items()),
            "",
            names,
            payload,
        ]
    )
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = "\n".join([_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(_key(credentials, scope), text.encode(), hashlib.sha256).hexdigest()
    authorization = f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope}, SignedHeaders={names}, "
    return added | {"authorization": f"{authorization}Signature={signature}"}


def _key(credentials: AwsCredentials, scope: str) -> bytes:
    key = f"AWS4{credentials.secret_access_key.reveal()}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _canonical_headers(request: "httpx.Request", added: Mapping[str, str]) -> dict[str, str]:
    headers: dict[str, list[str]] = {}
    for name, value in [*request.headers.multi_items(), *added.items()]:
        if name.lower() not in _UNSIGNED and not (name.lower() in added and value != added[name.lower()]):
            headers.setdefault(name.lower(), []).append(" ".join(value.split()))
    return {name: value[0] if name in added else ",".join(value) for name, value in sorted(headers.items())}


def _canonical_path(request: "httpx.Request", service: str) -> str:
    """The path as it travels, encoded once more; S3 alone takes it as it is."""
    path = request.url.raw_path.partition(b"?")[0].decode("ascii") or "/"
    return path if service == "s3" else quote(path, safe="/-_.~")


def _canonical_query(query: bytes) -> str:
    pairs: list[tuple[str, str]] = []
    for part in query.split(b"&") if query else ():
        name, _, value = part.partition(b"=")
        pairs.append((quote(unquote_to_bytes(name), safe="-_.~"), quote(unquote_to_bytes(value), safe="-_.~")))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))
