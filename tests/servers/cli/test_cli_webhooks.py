"""`clew webhooks`: recorded deliveries judged, one or many, and samples that a receiver accepts."""

import base64
import hmac
import io
import json
import sys
import time
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from clew.connectors.webhooks.catalog import SCHEMES
from clew.core.secret import Secret
from clew.core.webhooks import Delivery, Event, verify

from .conftest import Place, Ran

SCHEME = """
kind = "hmac"
signature = "Acme-Signature"
prefix = "v1="
separator = ","
signed = "{ts}.{body}"
timestamp = { place = "Acme-Signature", prefix = "t=", separator = "," }
"""
PYTHON = """
from clew import Connector, webhooks
scheme = webhooks.Scheme(name="mine", proof=webhooks.Hmac(signature="X-Sig"))
mine = Connector("mine", base_url="https://mine.example", webhooks=scheme)
"""

BODY = b'{"id":"1"}\r\n'


def mac(content: bytes) -> str:
    return hmac.digest(b"k3y", content, "sha256").hex()


@pytest.fixture
def recorded(place: Place) -> Place:
    (place.folder / "body").write_bytes(BODY)
    (place.folder / "headers").write_text(f"X-Hub-Signature-256: sha256={mac(BODY)}\n")
    (place.folder / "secret").write_text("old\nk3y\n")
    return place


def batch(place: Place, *lines: Any, raw: bytes = b"") -> list[dict[str, Any]]:
    text = b"".join(json.dumps(line).encode() + b"\n" for line in lines) + raw
    place.patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    place.capture.readouterr()
    from clew.servers.cli import main

    assert main(["webhooks", "verify", "--batch"]) == 0
    return [json.loads(line) for line in place.capture.readouterr().out.splitlines()]


def one(place: Place, scheme: str, *more: str) -> Ran:
    return place.run("webhooks", "verify", scheme, "--headers", "headers", "--body", "body", *more)


def test_a_recorded_delivery_is_judged_with_every_secret_of_a_file(recorded: Place) -> None:
    ran = one(recorded, "github", "--secret-file", "secret")
    assert ran.code == 0
    assert json.loads(ran.out) == {
        "verdict": "valid", "code": "ok", "reason": "it was signed with secret 2", "scheme": "github",
        "delivery_id": None, "event_type": None, "signed_at": None, "body_is_signed": True,
    }  # fmt: skip
    (recorded.folder / "body").write_bytes(b"{}")
    ran = one(recorded, "github", "--secret-file", "secret")
    assert ran.code == 1
    assert json.loads(ran.out) == {"verdict": "invalid", "code": "mismatch", "reason": "no signature matches"}
    assert "clew webhooks set github" in one(recorded, "github").out


def test_a_scheme_in_a_file_is_a_few_lines(recorded: Place) -> None:
    (recorded.folder / "acme.toml").write_text(SCHEME)
    (recorded.folder / "mine.py").write_text(PYTHON)
    (recorded.folder / "plain.json").write_text('{"signature": "X-Sig"}')
    (recorded.folder / "body").write_bytes(b"b")
    stamp = "1790000000"
    text = f"Acme-Signature: t={stamp},v1={mac(f'{stamp}.b'.encode())}\nX-Sig: {mac(b'b')}\n"
    (recorded.folder / "headers").write_text(text)
    for file in ("acme.toml", "mine.py", "plain.json"):
        ran = one(recorded, f"./{file}", "--secret-file", "secret", "--now", stamp)
        assert ran.code == 0, ran.out
    assert one(recorded, "acme.toml", "--secret-file", "secret", "--now", "1790000301").code == 1
    assert one(recorded, "acme.toml", "--secret-file", "secret", "--now", "1790000301", "--tolerance", "400").code == 0


@pytest.mark.parametrize("content", ["x = ", "signatur = 'X'", "\xff"])
def test_a_damaged_file_is_the_authors_mistake(recorded: Place, content: str) -> None:
    (recorded.folder / "bad.toml").write_bytes(content.encode("latin-1"))
    ran = one(recorded, "bad.toml")
    assert ran.code == 2
    assert ran.err.startswith("clew: ")
    for name, text in (("bad.py", "1/0"), ("empty.py", ""), ("bad.json", "{")):
        (recorded.folder / name).write_text(text)
        assert one(recorded, name).code == 2
    assert one(recorded, "nowhere.toml").code == 2
    assert "stripe" in one(recorded, "strype").err
    assert one(recorded, "sql").code == 2
    assert place_without_scheme(recorded) == 2


def place_without_scheme(place: Place) -> int:
    return place.run("webhooks", "verify", "--body", "body").code


def test_names_are_found_however_they_are_written(place: Place) -> None:
    from clew.servers.webhook_schemes import find

    names = {
        "Standard Webhooks": "standard-webhooks", "SNS": "aws-sns", "google_pubsub": "google-pubsub",
        "hubspot_v3": "hubspot-v3", "jira": "atlassian", "acme": "standard-webhooks",
    }  # fmt: skip
    for name, known in names.items():
        assert find(name)[0].name == known


def test_one_bad_line_never_stops_the_rest(place: Place) -> None:
    good = {
        "scheme": "github", "method": "POST", "url": "", "headers": [["X-Hub-Signature-256", f"sha256={mac(b'b')}"]],
        "body_b64": base64.b64encode(b"b").decode(), "secrets": ["k3y"], "now": None, "tolerance_s": None,
    }  # fmt: skip
    bad: list[Any] = [
        5, [], "x", None, {}, {**good, "scheme": "nope"}, {**good, "scheme": {"signatur": 1}}, {**good, "scheme": None},
        {**good, "headers": 5}, {**good, "headers": [["a"]]}, {**good, "headers": [["a", None]]},
        {**good, "body_b64": "!"}, {**good, "body_b64": 5}, {**good, "secrets": [5]}, {**good, "secrets": None},
        {**good, "secrets": []}, {**good, "now": "x"}, {**good, "now": True}, {**good, "tolerance_s": "inf"},
        {**good, "tolerance_s": -1}, {**good, "url": 5}, {**good, "method": []}, {**good, "secrets": ["x"]},
        {**good, "scheme": "./nowhere.py"}, {**good, "scheme": "x" * 10_000}, {**good, "now": 10**400},
    ]  # fmt: skip
    lines = [each for wrong in bad for each in (wrong, good)]
    found = batch(place, *lines, raw=b"\n{\n\xff\xfe\n" + b"[" * 100_000 + b"\n" + json.dumps(good).encode())
    assert len(found) == len(lines) + 4
    assert {each["verdict"] for each in found[: len(lines) : 2]} == {"invalid"}
    assert {each["verdict"] for each in [*found[1 : len(lines) : 2], found[-1]]} == {"valid"}
    assert all(each["reason"] for each in found)


def test_a_line_may_declare_its_scheme_and_write_headers_as_an_object(place: Place) -> None:
    inline = {"kind": "hmac", "signature": "X-S", "encoding": "base64", "key": "hex", "signed": "{method}{url}{body}"}
    content = b"PUThttps://h/b"
    signature = base64.b64encode(hmac.digest(b"\x00\xff", content, "sha256")).decode()
    line = {"scheme": inline, "method": "put", "url": "https://h/", "headers": {"x-s": signature}, "body": "b",
            "secrets": "00ff", "now": "1790000000", "tolerance_s": 5}  # fmt: skip
    keys: dict[str, list[str]] = {"keys": []}
    token: dict[str, Any] = {
        "scheme": "google-pubsub",
        "headers": [["Authorization", "Bearer x"]],
        "secrets": [keys, {"email": "a@b"}],
    }
    found = batch(place, line, token)
    assert [each["code"] for each in found] == ["ok", "malformed"]


class Receiver(BaseHTTPRequestHandler):
    """Verifies what arrives, and answers 401 to what it cannot."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        url = f"http://{self.headers['host']}{self.path}"
        delivery = Delivery(self.headers.items(), body, url=url)
        name = self.path.partition("?")[0].strip("/")
        found = verify(SCHEMES[name], delivery, [Secret("k3y")], now=time.time())
        self.send_response(200 if isinstance(found, Event) else 401)
        self.end_headers()
        self.wfile.write(f"{found!r}".encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def receiver() -> Generator[str]:
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["github", "stripe", "slack", "square", "gitlab-token", "twitch", "pandadoc"])
def test_a_sample_is_accepted_by_a_receiver(recorded: Place, receiver: str, name: str) -> None:
    (recorded.folder / "key").write_text("k3y\n")
    ran = recorded.run(
        "webhooks", "send", name, "--event", "it.happened", "--secret-file", "key", "--to", f"{receiver}/{name}"
    )
    assert ran.code == 0, ran.out
    assert "Event(" in ran.out
    (recorded.folder / "wrong").write_text("no\n")
    ran = recorded.run("webhooks", "send", name, "--secret-file", "wrong", "--to", f"{receiver}/{name}", "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["status"] == 401


def test_a_sample_needs_a_secret_a_receiver_and_a_scheme_that_others_can_sign(recorded: Place) -> None:
    to = ("--to", "http://127.0.0.1:9/")
    assert "secret" in recorded.run("webhooks", "send", "github", *to).err
    assert "private key" in recorded.run("webhooks", "send", "discord", "--secret-file", "secret", *to).err
    assert "does not answer" in recorded.run("webhooks", "send", "github", "--secret-file", "secret", *to).err
    assert "http" in recorded.run("webhooks", "send", "github", "--secret-file", "secret", "--to", "ftp://x/").err


def test_the_schemes_are_listed(place: Place) -> None:
    assert "stripe" in place.run("webhooks", "schemes").out
    listed = json.loads(place.run("webhooks", "schemes", "--json").out)
    assert {"name", "proofs", "secret", "source"} <= set(listed[0])
    assert place.run("webhooks", "schemes", "--markdown").out.startswith("| scheme |")


def test_pem_blocks_and_json_are_one_secret_each(recorded: Place) -> None:
    from clew.servers.cli.verifying import read_secret_files

    block = "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n"
    (recorded.folder / "keys").write_text(f"one\n{block}\ntwo\n")
    (recorded.folder / "set").write_text('{"keys":\n []}\n')
    found = [each.reveal() for each in read_secret_files(["keys", "set"])]
    assert found == ["one", block, "two", '{"keys":\n []}\n']
