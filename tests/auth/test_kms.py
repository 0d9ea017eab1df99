"""A key in AWS KMS: every refusal in words an operator can use; the real protocol against moto's server."""

import base64
import importlib.util
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import respx

from clew.auth.facts import Facts
from clew.auth.keys import LocalKeys, WrongKeyError
from clew.auth.kms import KmsKey, KmsKeys
from clew.auth.leases import open_leases
from clew.auth.places import open_keys
from clew.auth.rotation import Rotation
from clew.auth.sigv4 import AwsCredentials, sign
from clew.auth.vault import open_vault
from clew.core.database import Database
from clew.core.errors import ConfigurationError, TransientError
from clew.core.secret import Secret

from .conftest import WORK, revealed

pytestmark = pytest.mark.anyio

ARN = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ENVIRON = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "canary-secret",
    "AWS_SESSION_TOKEN": "canary-t",
}


@pytest.fixture
def kms() -> Iterator[respx.Route]:
    with respx.mock(assert_all_called=False) as router:
        yield router.post("https://kms.eu-west-1.amazonaws.com/")


async def test_a_data_key_is_sent_signed_with_a_context_that_names_nobody(kms: respx.Route) -> None:
    kms.respond(json={"CiphertextBlob": base64.b64encode(b"wrapped").decode(), "KeyId": ARN})
    assert await KmsKey(ARN, ENVIRON).wrap(b"d" * 32, context=b"tenant globex") == b"wrapped"
    request = kms.calls.last.request
    sent = json.loads(request.content)
    assert (sent["KeyId"], base64.b64decode(sent["Plaintext"])) == (ARN, b"d" * 32)
    assert "globex" not in request.content.decode()
    assert request.headers["x-amz-target"] == "TrentService.Encrypt"
    assert (
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
        in request.headers["authorization"]
    )
    assert "/eu-west-1/kms/aws4_request" in request.headers["authorization"]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (httpx.Response(400, json={"__type": "InvalidCiphertextException"}), WrongKeyError, "Nothing was changed"),
        (httpx.Response(400, json={"__type": "com.amazonaws.kms#IncorrectKeyException"}), WrongKeyError, "restore"),
        (
            httpx.Response(400, json={"__type": "AccessDeniedException", "message": "x"}),
            ConfigurationError,
            "AccessDenied",
        ),
        (httpx.Response(400, json={"__type": "DisabledException"}), ConfigurationError, "refuses Decrypt.*Disabled"),
        (httpx.Response(400, json={"__type": "ThrottlingException"}), TransientError, "no usable answer"),
        (httpx.Response(500, json={"__type": "KMSInternalException"}), TransientError, "no usable answer"),
        (httpx.Response(200, html="<html>"), TransientError, "no usable answer"),
        (httpx.Response(200, json={"Plaintext": 5}), TransientError, "no usable answer"),
        (httpx.ConnectError("refused"), TransientError, "cannot be reached"),
        (httpx.ReadTimeout("slow"), TransientError, "cannot be reached"),
    ],
)
async def test_every_refusal_says_who_can_act(
    kms: respx.Route, answer: httpx.Response | Exception, error: type[Exception], words: str
) -> None:
    kms.mock(side_effect=[answer])
    with pytest.raises(error, match=words) as caught:
        await KmsKey(ARN, ENVIRON).unwrap(b"wrapped", context=b"c")
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_an_alias_stands_for_the_key_it_points_to(kms: respx.Route) -> None:
    kms.respond(json={"KeyMetadata": {"Arn": ARN}})
    keys = KmsKeys("alias/clew", environ={**ENVIRON, "AWS_REGION": "eu-west-1"})
    key = await keys.choose()
    assert key.key_id == f"aws-kms:{ARN}"
    assert (await keys.find(key.key_id)).place == f"AWS KMS, {ARN}"
    assert keys.knows(key.key_id)
    assert not keys.knows("0123456789abcdef")
    kms.respond(json={"KeyMetadata": {}})
    with pytest.raises(TransientError):
        await keys.renew()


async def test_missing_settings_are_named() -> None:
    with pytest.raises(ConfigurationError, match="set AWS_REGION"):
        await KmsKeys("alias/clew", environ=ENVIRON).choose()
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY"):
        await KmsKeys(ARN, environ={}).choose()
    with pytest.raises(ConfigurationError, match="needs a key"):
        KmsKeys("")
    with pytest.raises(ConfigurationError, match="AWS_ENDPOINT_URL_KMS"):
        await KmsKeys(ARN, environ={**ENVIRON, "AWS_ENDPOINT_URL_KMS": "kms.example"}).choose()


async def test_a_key_that_the_settings_do_not_lead_to_is_named(tmp_path: Path) -> None:
    keys = open_keys(f"aws-kms:{ARN}", tmp_path / "master.key", environ={})
    with pytest.raises(WrongKeyError, match=r"pkcs11:a/b/00.*old_key_providers"):
        await keys.find("pkcs11:a/b/00")
    with pytest.raises(WrongKeyError, match="0123456789abcdef"):
        await keys.find("0123456789abcdef")
    with pytest.raises(ConfigurationError, match="not 'vault'"):
        open_keys("vault:secret", tmp_path / "master.key")


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """moto's server; it stands in for AWS."""
    if importlib.util.find_spec("moto") is None:
        pytest.skip("moto is not installed: pip install 'moto[server]'")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = "import sys; from moto.server import main; main(sys.argv[1:])"
    server = subprocess.Popen(
        [sys.executable, "-c", code, "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    give_up_at = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/moto-api/data.json", timeout=5)
            break
        except httpx.HTTPError:
            assert time.monotonic() < give_up_at
            assert server.poll() is None
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait(10)


async def ask(moto: str, environ: dict[str, str], action: str, **body: str) -> dict[str, dict[str, str]]:
    """What an administrator does at KMS."""
    credentials = AwsCredentials.from_environment(environ)
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"TrentService.{action}"}
    async with httpx.AsyncClient() as http:
        request = http.build_request("POST", moto, headers=headers, json=body)
        request.headers.update(sign(request, credentials, region="eu-west-1", service="kms", now=datetime.now(UTC)))
        answer = await http.send(request)
        assert answer.status_code == 200
        content: dict[str, dict[str, str]] = answer.json() if answer.content else {}
    return content


@pytest.mark.testbed
async def test_a_vault_moves_from_a_file_into_kms_and_to_another_key_behind_its_alias(
    moto: str, database: Database, tmp_path: Path
) -> None:
    environ = {**ENVIRON, "AWS_ENDPOINT_URL_KMS": moto, "AWS_REGION": "eu-west-1"}
    first, second = [(await ask(moto, environ, "CreateKey"))["KeyMetadata"] for _ in range(2)]
    await ask(moto, environ, "CreateAlias", AliasName="alias/clew", TargetKeyId=first["KeyId"])
    file = tmp_path / "master.key"
    local = await open_vault(database, LocalKeys(file, place="file", environ={}, warn=lambda text: None))
    await local.put(WORK, {"token": Secret("t")}, Facts("bearer"))
    keys = open_keys("aws-kms:alias/clew", file, environ=environ)
    rotation = Rotation(database, keys, await open_leases(database))
    assert (await rotation.rotate_keys()).key_id == f"aws-kms:{first['Arn']}"
    file.unlink()
    assert await revealed(await open_vault(database, keys), "token") == "t"
    await ask(moto, environ, "UpdateAlias", AliasName="alias/clew", TargetKeyId=second["KeyId"])
    assert (await rotation.rotate_keys()).key_id == f"aws-kms:{second['Arn']}"
    assert await revealed(await open_vault(database, keys), "token") == "t"
    again = await rotation.rotate_keys()
    assert (again.done, again.resumed) == (1, False)
    key = await keys.choose()
    wrapped = await key.wrap(b"d" * 32, context=b"a")
    with pytest.raises(WrongKeyError):
        await key.unwrap(wrapped, context=b"b")
    with pytest.raises(ConfigurationError, match="NotFoundException"):
        await KmsKeys("alias/none", environ=environ).choose()
