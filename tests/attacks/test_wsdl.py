"""Promises: neither a WSDL nor an answer in XML reads a file, reaches a network, or never ends."""

import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import respx
from tests.servers.descriptions.soap_caller import Caller
from tests.servers.descriptions.test_wsdl import GOOD, WSDL, envelope, written

from clew.core.errors import ConfigurationError, Outcome
from clew.servers.descriptions.live import open_soap

pytestmark = pytest.mark.anyio

CANARY = "canary-7c1f"


class Ear(http.server.BaseHTTPRequestHandler):
    """Hears every request, and answers with a schema that is fine."""

    heard: list[str]

    def do_GET(self) -> None:
        self.heard.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'<schema xmlns="http://www.w3.org/2001/XMLSchema"/>')

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def ear() -> Iterator[tuple[str, list[str]]]:
    heard: list[str] = []
    handler = type("Own", (Ear,), {"heard": heard})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", heard
        finally:
            server.shutdown()
            thread.join()


def imports(place: str) -> dict[str, str]:
    """The three ways by which a WSDL names another document."""
    return {
        "xsd:import": WSDL.replace("{types}", f'<x:import namespace="urn:o" schemaLocation="{place}"/>{{types}}'),
        "xsd:include": WSDL.replace("{types}", f'<x:include schemaLocation="{place}"/>{{types}}'),
        "wsdl:import": WSDL.replace("<types>", f'<import namespace="urn:o" location="{place}"/><types>'),
    }


@pytest.mark.parametrize("way", imports(""))
def test_a_wsdl_in_a_file_reaches_no_network(tmp_path: Path, ear: tuple[str, list[str]], way: str) -> None:
    url, heard = ear
    for place in (f"{url}/x.xsd", url.replace("http:", "HTTP:"), url.removeprefix("http:")):
        with pytest.raises(ConfigurationError):
            open_soap(written(tmp_path, text=imports(place)[way]) + f"#name=n{time.monotonic_ns()}")
    assert heard == []


@pytest.mark.parametrize("way", imports(""))
def test_a_wsdl_reads_no_file_outside_of_its_folder(tmp_path: Path, way: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    outside = tmp_path / "secret.xsd"
    outside.write_text(f'<schema xmlns="http://www.w3.org/2001/XMLSchema"><!-- {CANARY} --></schema>')
    (inside / "link.xsd").symlink_to(outside)
    for place in ("../secret.xsd", str(outside), f"file://{outside}", "link.xsd", "./x/../../secret.xsd"):
        with pytest.raises(ConfigurationError, match=r"somewhere else|cannot be read") as caught:
            open_soap(written(inside, text=imports(place)[way]) + f"#name=n{time.monotonic_ns()}")
        assert CANARY not in str(caught.value)


def test_a_schema_beside_the_wsdl_is_read(tmp_path: Path) -> None:
    (tmp_path / "own.xsd").write_text('<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:o"/>')
    assert open_soap(written(tmp_path, text=imports("own.xsd")["xsd:import"])).tools


def test_a_wsdl_from_a_network_is_followed_on_its_own_host_only(ear: tuple[str, list[str]]) -> None:
    url, heard = ear
    with respx.mock:
        for place in (
            f"{url}/x.xsd",
            "https://other.example.com/x.xsd",
            "file:///etc/passwd",
            "http://169.254.169.254/x",
        ):
            text = filled(imports(place)["xsd:import"])
            respx.get("https://soap.example.com/desk").respond(200, text=text)
            with pytest.raises(ConfigurationError, match="somewhere else"):
                open_soap(f"https://soap.example.com/desk?wsdl#name=n{time.monotonic_ns()}")
    assert heard == []


def filled(text: str) -> str:
    facts = {"types": "", "name": "Pick", "action": "", "use": "literal", "address": "https://soap.example.com/desk"}
    for name, value in facts.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def test_a_wsdl_from_outside_does_not_lead_into_this_network() -> None:
    with respx.mock:
        for place in ("https://10.0.0.5/desk", "http://127.0.0.1:8080/desk", "https://metadata.internal/desk"):
            text = filled(WSDL.replace("{address}", place))
            respx.get("https://soap.example.com/desk").respond(200, text=text)
            with pytest.raises(ConfigurationError, match="inside this network"):
                open_soap(f"https://soap.example.com/desk?wsdl#name=n{time.monotonic_ns()}")


LAUGHS = '<!ENTITY l0 "lol">' + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
BOMBS = {
    "laughs": f"<!DOCTYPE a [{LAUGHS}]>",
    "quadratic": f'<!DOCTYPE a [<!ENTITY a "{"x" * 100_000}">]>',
    "file": '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    "dtd": '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
    "parameter": '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://169.254.169.254/"> %p;]>',
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_wsdl_with_a_document_type_is_not_read(tmp_path: Path, bomb: str) -> None:
    use = "&l11;" if bomb == "laughs" else "&a;" * 1000 if bomb in ("quadratic", "file") else ""
    for encoding in ("utf-8", "utf-16"):
        text = filled(WSDL.replace("<types>", f"<documentation>{use}</documentation><types>"))
        text = text.replace('<?xml version="1.0"?>', f'<?xml version="1.0" encoding="{encoding}"?>{BOMBS[bomb]}')
        file = tmp_path / "bomb.wsdl"
        file.write_bytes(text.encode(encoding))
        began = time.monotonic()
        with pytest.raises(ConfigurationError, match="document type"):
            open_soap(f"{file}#name=n{time.monotonic_ns()}")
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("bomb", BOMBS)
@respx.mock
async def test_an_answer_with_a_document_type_is_not_read(tmp_path: Path, bomb: str) -> None:
    use = "&l11;" if bomb == "laughs" else "&a;" if bomb in ("quadratic", "file") else ""
    text = f"{BOMBS[bomb]}{envelope(GOOD.replace('<name>a</name>', f'<name>{use}</name>'))}"
    respx.post("https://soap.example.com/desk").respond(200, text=text, headers={"content-type": "text/xml"})
    error = await Caller(open_soap(written(tmp_path) + "#reads=Pick")).failed("run_pick")
    assert "root:" not in error.as_text()


@respx.mock
async def test_answers_that_nest_or_repeat_without_end_are_refused_in_time(tmp_path: Path) -> None:
    deep = "<child><name>x</name>" * 100_000
    many = "<kinds>x</kinds>" * 1_000_000
    for body in (GOOD.replace("<child><name>b</name></child>", deep), GOOD + many):
        text = envelope(body)
        respx.post("https://soap.example.com/desk").respond(200, text=text, headers={"content-type": "text/xml"})
        began = time.monotonic()
        await Caller(open_soap(written(tmp_path) + "#reads=Pick")).failed("run_pick")
        assert time.monotonic() - began < 10


def test_schemas_that_contain_themselves_or_import_without_end_end(tmp_path: Path) -> None:
    for number in range(200):
        following = f'<import namespace="urn:{number + 1}" schemaLocation="{number + 1}.xsd"/>'
        (tmp_path / f"{number}.xsd").write_text(
            f'<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:{number}">{following}</schema>'
        )
    with pytest.raises(ConfigurationError, match="more than"):
        open_soap(written(tmp_path, text=imports("0.xsd")["xsd:import"].replace("urn:o", "urn:0")))
    (tmp_path / "own.xsd").write_text(
        '<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:o">'
        '<include schemaLocation="own.xsd"/></schema>'
    )
    began = time.monotonic()
    assert open_soap(written(tmp_path, text=imports("own.xsd")["xsd:import"])).tools
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "text",
    [
        "</byName><byId>7</byId><byName>",
        "]]><x/>",
        "&a; <!DOCTYPE x> <?php ?>",
        "<![CDATA[x]]>",
        '"><script>',
        "\u2028\ufffe",
        "x" * 100_000,
    ],
)
@respx.mock
async def test_no_argument_is_ever_markup(tmp_path: Path, text: str) -> None:
    from clew.core.markup import parse

    route = respx.post("https://soap.example.com/desk").respond(200, text=envelope(GOOD))
    call = Caller(open_soap(written(tmp_path) + "#reads=Pick"))
    if "\ufffe" in text:  # no XML can hold it
        assert (await call.failed("run_pick", by_name=text)).outcome is Outcome.NOT_APPLIED
        assert not route.called
        return
    await call("run_pick", by_name=text)
    root = parse(route.calls.last.request.content)
    names = [each.name for each in root.walk()]
    assert names == ["Envelope", "Body", "Pick", "byName"]
    assert next(each for each in root.walk() if each.name == "byName").text == text


@pytest.mark.parametrize(
    "name", ["__class__", "x" * 200, "a b", "import", "api", "../x", "get\u202epick", "Pick&quot;", "1"]
)
def test_names_of_a_wsdl_become_names_of_tools_or_nothing(tmp_path: Path, name: str) -> None:
    try:
        tools = open_soap(written(tmp_path, name=name)).tools
    except ConfigurationError:
        return
    assert all(each.isidentifier() and len(each) <= 40 for each in tools)
