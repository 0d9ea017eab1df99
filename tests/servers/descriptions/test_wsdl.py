"""A WSDL becomes a connector: proven against a SOAP service of somebody else's making, in both versions of SOAP."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import respx
from tests.servers.descriptions.soap_caller import Caller, Password

from clew.core.connector import Effect
from clew.core.errors import Code, ConfigurationError, Outcome
from clew.servers.descriptions.live import open_soap
from clew.servers.descriptions.sources import read_source
from clew.servers.descriptions.wsdl import OPTIONS, described_wsdl

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["11", "12"], scope="module")
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.servers.descriptions.soap_desk", request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
        finally:
            process.terminate()


@pytest.fixture
def desk(url: str) -> Caller:
    return Caller(open_soap(f"{url}?wsdl#auth=basic&name=desk"), Password("ada", "opensesame"))


async def test_a_service_is_called_with_typed_arguments_and_results(desk: Caller) -> None:
    lines = {"Line": [{"sku": "a&<b>", "count": 3}, {"sku": "]]>", "count": 10**20}]}
    number = await desk("create_ticket", subject="Füße \U0001f600 & <x/>", lines=lines, status="open")
    found = await desk("get_ticket", id=number)
    assert found == {
        "id": number,
        "subject": "Füße \U0001f600 & <x/>",
        "price": "1.10",
        "lines": [{"sku": "a&<b>", "count": 3}, {"sku": "]]>", "count": 10**20}],
        "status": "open",
    }
    one = await desk("create_ticket", subject="only one line", lines={"Line": [{"sku": "x"}]})
    assert (await desk("get_ticket", id=one))["lines"] == [{"sku": "x"}]
    assert [each["id"] for each in await desk("search_tickets", word="only")] == [one]
    assert await desk("search_tickets", word="nothing like that") == []


async def test_what_deletes_shows_the_object_first(desk: Caller) -> None:
    number = await desk("create_ticket", subject="gone soon")
    await desk("delete_ticket", id=number)
    assert desk.person.asked[0].preview["result"]["subject"] == "gone soon"
    assert (await desk.failed("get_ticket", id=number)).code is Code.NOT_FOUND


async def test_faults_have_codes_and_outcomes(desk: Caller) -> None:
    error = await desk.failed("get_ticket", id=77777)
    assert (error.code, error.outcome) == (Code.NOT_FOUND, Outcome.NOT_APPLIED)
    error = await desk.failed("create_ticket", subject="boom")
    assert error.outcome is Outcome.UNKNOWN
    assert "Traceback" not in error.as_text()
    desk.keys = Password("ada", "wrong")
    error = await desk.failed("get_ticket", id=1)
    assert error.code in (Code.AUTH_EXPIRED, Code.AUTH_REVOKED)


async def test_wrong_arguments_are_refused_before_anything_is_sent(desk: Caller) -> None:
    for arguments in ({"subject": "x\0"}, {"subject": "x", "status": "ajar"}, {"subject": "x", "lines": {"Line": 5}}):
        error = await desk.failed("create_ticket", **arguments)
        assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED), arguments


def test_tools_are_named_and_sorted_by_what_they_do(url: str) -> None:
    found = described_wsdl(read_source(f"{url}?wsdl", OPTIONS))
    effects = {offer.name: offer.effect for offer in found.offers.values()}
    assert effects == {
        "get_ticket": Effect.READ,
        "search_tickets": Effect.READ,
        "create_ticket": Effect.WRITE,
        "delete_ticket": Effect.DESTRUCTIVE,
    }
    assert "shows what it would hit" in found.left_out["purgeArchive"]
    assert found.offers["get_ticket"].doc == "Read one ticket."
    create = found.offers["create_ticket"].plan
    assert [(each.name, each.shape.kind, each.required) for each in create.arguments] == [
        ("subject", "text", True),
        ("lines", "typed", False),
        ("status", "choice", False),
    ]


WSDL = """<?xml version="1.0"?>
<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
  xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" targetNamespace="urn:t">
<types><x:schema targetNamespace="urn:t" elementFormDefault="qualified">
{types}
<x:element name="Pick"><x:complexType><x:sequence>
  <x:choice><x:element name="byId" type="x:int"/><x:element name="byName" type="x:string"/></x:choice>
  <x:element name="at" type="x:dateTime" minOccurs="0"/>
  <x:element name="photo" type="x:base64Binary" minOccurs="0"/>
  <x:element name="ratio" type="x:double" minOccurs="0"/>
  <x:element name="flags" type="x:boolean" minOccurs="0" maxOccurs="3"/>
</x:sequence></x:complexType></x:element>
<x:complexType name="Node"><x:sequence>
  <x:element name="name" type="x:string"/>
  <x:element name="child" type="t:Node" minOccurs="0"/>
</x:sequence></x:complexType>
<x:element name="Picked"><x:complexType><x:sequence>
  <x:element name="ok" type="x:boolean"/><x:element name="ratio" type="x:double"/>
  <x:element name="node" type="t:Node" minOccurs="0"/>
  <x:element name="kinds" type="x:string" minOccurs="0" maxOccurs="unbounded"/>
  <x:element name="rest" type="x:string" nillable="true"/>
</x:sequence></x:complexType></x:element>
</x:schema></types>
<message name="In"><part name="p" element="t:Pick"/></message>
<message name="Out"><part name="p" element="t:Picked"/></message>
<portType name="P"><operation name="{name}"><input message="t:In"/><output message="t:Out"/></operation></portType>
<binding name="B" type="t:P"><s:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
<operation name="{name}"><s:operation soapAction="{action}"/><input><s:body use="{use}"/></input>
<output><s:body use="{use}"/></output></operation></binding>
<service name="S"><port name="One" binding="t:B"><s:address location="{address}"/></port></service>
</definitions>"""

FACTS = {
    "types": "",
    "name": "Pick",
    "action": "urn:pick",
    "use": "literal",
    "address": "https://soap.example.com/desk?v=2",
}


OPEN = (
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:i="http://www.w3.org/2001/XMLSchema-instance">'
)


def written(folder: Path, *, text: str = WSDL, **facts: str) -> str:
    file = folder / "desk.wsdl"
    for name, value in {**FACTS, **facts}.items():
        text = text.replace(f"{{{name}}}", value)
    file.write_text(text)
    return str(file)


def envelope(body: str) -> str:
    return f'{OPEN}<e:Body><Picked xmlns="urn:t">{body}</Picked></e:Body></e:Envelope>'


GOOD = (
    "<ok>true</ok><ratio>0.5</ratio><node><name>a</name><child><name>b</name></child></node>"
    '<kinds>only</kinds><rest i:nil="true"/>'
)


@respx.mock
async def test_choices_lists_and_nothing_are_told_apart(tmp_path: Path) -> None:
    call = Caller(open_soap(written(tmp_path) + "#reads=Pick"))
    assert list(call.connector.tools) == ["run_pick"]
    parameters = call.connector.tools["run_pick"].signature.input_schema["properties"]
    assert sorted(parameters) == ["at", "by_id", "by_name", "flags", "ratio"]
    route = respx.post("https://soap.example.com/desk", params={"v": "2"}).respond(200, text=envelope(GOOD))
    found = await call("run_pick", by_id=5, flags=[True, False])
    assert found["ok"] is True
    assert found["ratio"] == 0.5
    assert found["node"]["child"]["name"] == "b"
    assert found["kinds"] == ["only"]
    assert found.get("rest") is None
    request = route.calls.last.request
    assert request.headers["soapaction"] == '"urn:pick"'
    assert request.headers["content-type"] == "text/xml; charset=utf-8"
    sent = request.content.decode()
    assert ":byId>5<" in sent
    assert sent.count("flags>") == 4
    assert "byName" not in sent


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (envelope(GOOD.replace("<ok>true</ok>", "")), "ok"),
        (envelope(GOOD.replace(">true<", ">maybe<")), "ok"),
        (envelope(GOOD.replace("0.5", "half")), "ratio"),
        ("<html><body>please log in</body></html>", ""),
        ("<other/>", "no SOAP envelope"),
    ],
)
@respx.mock
async def test_an_answer_that_is_not_as_promised_is_no_result(tmp_path: Path, body: str, names: str) -> None:
    respx.post("https://soap.example.com/desk").respond(200, text=body, headers={"content-type": "text/xml"})
    error = await Caller(open_soap(written(tmp_path) + "#reads=Pick")).failed("run_pick")
    assert error.code in (Code.CONTRACT_CHANGED, Code.TRANSIENT, Code.AUTH_REVOKED), error.as_text()
    assert names in error.as_text()


@respx.mock
async def test_an_unreadable_answer_to_a_write_does_not_say_that_nothing_happened(tmp_path: Path) -> None:
    respx.post("https://soap.example.com/desk").respond(200, text=envelope(""), headers={"content-type": "text/xml"})
    error = await Caller(open_soap(written(tmp_path))).failed("run_pick", by_id=1)
    assert (error.code, error.outcome) == (Code.CONTRACT_CHANGED, Outcome.APPLIED)


@respx.mock
async def test_a_one_way_answer_without_a_body_is_no_error_where_nothing_was_promised(tmp_path: Path) -> None:
    place = written(tmp_path, text=WSDL.replace('<output message="t:Out"/>', ""))
    respx.post("https://soap.example.com/desk").respond(202)
    assert await Caller(open_soap(place))("run_pick", by_id=1) == {"done": True}


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"use": "encoded"}, "encoded"),
        ({"action": "a&#10;b"}, "SOAPAction"),
    ],
)
def test_operations_that_cannot_be_tools_are_left_out(tmp_path: Path, facts: dict[str, str], why: str) -> None:
    found = described_wsdl(read_source(written(tmp_path, **facts), OPTIONS))
    assert found.offers == {}
    assert why in found.left_out["Pick"]
    with pytest.raises(ConfigurationError, match=why):  # and not a server without tools
        open_soap(written(tmp_path, **facts))


def test_the_address_is_the_operators_where_they_name_one(tmp_path: Path) -> None:
    place = written(tmp_path, address="http://intranet/desk")
    with pytest.raises(ConfigurationError, match="base_url"):
        open_soap(place)
    assert open_soap(f"{place}#base_url=https://soap.example.com/x").base_url == "https://soap.example.com"
    with pytest.raises(ConfigurationError, match="no SOAP port Two; there are One"):
        open_soap(f"{place}#port=Two")


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeep", None)
    with pytest.raises(ConfigurationError, match=r"clew\[soap\]"):
        open_soap(written(tmp_path) + "#name=x")


def test_nothing_of_zeep_is_needed_to_import_clew() -> None:
    code = "import clew.servers.descriptions.live, sys; assert 'zeep' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_file_that_is_no_wsdl_is_said_to_be_none(tmp_path: Path) -> None:
    file = tmp_path / "x.wsdl"
    for text in ("", "hello", "<a/>", "<definitions xmlns='http://schemas.xmlsoap.org/wsdl/'/>"):
        file.write_text(text)
        with pytest.raises(ConfigurationError):
            open_soap(str(file))
