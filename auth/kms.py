"""A key-encryption key in AWS KMS: it never leaves there; data keys are sent to be wrapped and unwrapped.

`key_provider = "aws-kms:KEY"`, KEY being an id, an ARN or `alias/NAME`. Region from the ARN, else `AWS_REGION` or
`AWS_DEFAULT_REGION`; credentials from `AWS_ACCESS_KEY_ID` and so on; another endpoint from `AWS_ENDPOINT_URL_KMS`.
The key's policy must allow Encrypt, Decrypt and DescribeKey. Source: AWS KMS API Reference.
"""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Any

from clew.auth.keys import KeyProvider, WrongKeyError
from clew.auth.sigv4 import AwsCredentials, sign
from clew.core.errors import ConfigurationError, TransientError, quote
from clew.core.fields import as_object
from clew.core.values import dataclass

PREFIX = "aws-kms:"
_SECONDS = 10.0
_ALTERED = ("InvalidCiphertextException", "IncorrectKeyException")
_PASSING = ("ThrottlingException", "LimitExceededException", "KMSInternalException", "DependencyTimeoutException")


@dataclass(frozen=True, slots=True)
class KmsKey:
    """One KMS key by its ARN. The encryption context holds a hash, so the provider's log names no tenant."""

    arn: str
    environ: Mapping[str, str] = field(repr=False, default_factory=lambda: os.environ)

    @property
    def key_id(self) -> str:
        """`aws-kms:` and the ARN, which is all that is needed to find the key again."""
        return PREFIX + self.arn

    @property
    def place(self) -> str:
        """For people."""
        return f"AWS KMS, {self.arn}"

    async def wrap(self, data_key: bytes, *, context: bytes) -> bytes:
        """KMS Encrypt."""
        body = {"KeyId": self.arn, "Plaintext": _text(data_key), "EncryptionContext": _context(context)}
        return _bytes(await _call("Encrypt", body, self.arn, self.environ), "CiphertextBlob")

    async def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """KMS Decrypt, for this key and context alone."""
        body = {"KeyId": self.arn, "CiphertextBlob": _text(wrapped), "EncryptionContext": _context(context)}
        return _bytes(await _call("Decrypt", body, self.arn, self.environ), "Plaintext")


class KmsKeys:
    """The keys of AWS KMS; `name` is the one to seal with."""

    def __init__(self, name: str, *, environ: Mapping[str, str] = os.environ) -> None:
        self._name = name
        self._environ = environ
        if not name or any(char.isspace() for char in name):
            raise ConfigurationError('key_provider "aws-kms:" needs a key: aws-kms:alias/NAME or aws-kms:arn:aws:kms:…')

    def knows(self, key_id: str) -> bool:
        """Every KMS key is found by its ARN."""
        return key_id.startswith(PREFIX)

    async def find(self, key_id: str) -> KeyProvider:
        """The key of this ARN; whether it may be used is seen when it is."""
        return KmsKey(key_id.removeprefix(PREFIX), self._environ)

    async def choose(self) -> KeyProvider:
        """The key that the name stands for now (an alias can move). KMS keys are made by their owner, not here."""
        answer = await _call("DescribeKey", {"KeyId": self._name}, self._name, self._environ)
        arn = (as_object(answer.get("KeyMetadata")) or {}).get("Arn")
        if not isinstance(arn, str):
            raise TransientError("AWS KMS gives no usable answer at the moment.")
        return KmsKey(arn, self._environ)

    async def renew(self) -> KeyProvider:
        """The key the name stands for: KMS changes what is behind it, or its owner points the alias elsewhere."""
        return await self.choose()


async def _call(action: str, body: Mapping[str, Any], key: str, environ: Mapping[str, str]) -> dict[str, Any]:
    import httpx

    region = _region(key, environ)
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    url = environ.get("AWS_ENDPOINT_URL_KMS") or environ.get("AWS_ENDPOINT_URL") or f"https://kms.{region}.{domain}"
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"TrentService.{action}"}
    credentials = AwsCredentials.from_environment(environ)
    try:
        async with httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False) as http:
            request = http.build_request("POST", url, headers=headers, content=json.dumps(body).encode())
            now = datetime.now(UTC)
            request.headers.update(sign(request, credentials, region=region, service="kms", now=now))
            answer = await http.send(request)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise ConfigurationError("AWS_ENDPOINT_URL_KMS is not an http(s) address.") from None
    except httpx.HTTPError:
        # The request holds a data key in the clear: it must not hang on the error.
        raise TransientError("AWS KMS cannot be reached at the moment, so the vault's data keys stay closed.") from None
    return _checked(action, key, answer)


def _checked(action: str, key: str, answer: Any) -> dict[str, Any]:
    try:
        content = as_object(answer.json())
    except ValueError:
        content = None
    if answer.status_code == 200 and content is not None:
        return content
    kind = str((content or {}).get("__type", "")).rpartition("#")[2]
    if kind in _ALTERED:
        raise WrongKeyError(
            f"AWS KMS does not open this vault's data key with {key}, or that was altered. "
            "Nothing was changed: restore the key or the database from a backup."
        )
    if answer.status_code >= 500 or answer.status_code == 429 or kind in _PASSING or not kind:
        raise TransientError("AWS KMS gives no usable answer at the moment.", status=answer.status_code)
    raise ConfigurationError(
        f"AWS KMS refuses {action} with {key}: {quote(kind, 80)}. Check the key's state and policy, the region and the "
        "credentials."
    )


def _region(key: str, environ: Mapping[str, str]) -> str:
    parts = key.split(":")
    region = parts[3] if parts[0] == "arn" and len(parts) >= 6 else ""
    region = region or environ.get("AWS_REGION", "") or environ.get("AWS_DEFAULT_REGION", "")
    if not region or not region.replace("-", "").isalnum():
        raise ConfigurationError("The region of the AWS KMS key is not known: give the key's ARN, or set AWS_REGION.")
    return region


def _context(context: bytes) -> dict[str, str]:
    return {"clew": hashlib.sha256(context).hexdigest()}


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(answer: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(str(answer[name]), validate=True)
    except (KeyError, ValueError):
        raise TransientError("AWS KMS gives no usable answer at the moment.") from None
