"""WS-Security's UsernameToken, held against zeep's, and against what others have published."""

import base64
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.auth.wsse import UsernameToken, password_digest, security, with_header
from clew.core.credentials import IN_BODY, InBody
from clew.core.errors import AuthRevokedError, InternalError
from clew.core.markup import Element, parse
from clew.core.secret import Secret

S11 = "http://schemas.xmlsoap.org/soap/envelope/"
S12 = "http://www.w3.org/2003/05/soap-envelope"
ENVELOPE = f'<?xml version="1.0" encoding="utf-8"?>\n<e:Envelope xmlns:e="{S11}"><e:Body><a/></e:Body></e:Envelope>'
WHEN = datetime(2003, 7, 16, 1, 24, 32, tzinfo=UTC)


def token(user: str = "ada", password: str = "opensesame", *, digest: bool = False, timestamp: bool = False) -> Element:
    """The Security element of an envelope."""
    request = httpx.Request("POST", "https://soap.example.com", content=ENVELOPE)
    fields = {"username": Secret(user), "password": Secret(password)}
    UsernameToken(digest, timestamp).apply(request, fields.__getitem__)
    written = request.extensions[IN_BODY]
    assert isinstance(written, InBody)
    found = parse(written.content).child("header")
    assert found is not None
    return found.children[0]


def texts(element: Element) -> dict[str, str]:
    return {each.name: each.text for each in element.walk()}


def test_a_digest_is_what_others_have_published() -> None:
    """M. Pilgrim, "Atom Authentication" (2003), which takes its nonce as it is written. The example in the OASIS
    profile names no password, and its digest is two bytes too long for SHA-1."""
    nonce = b"d36e316282959a9ed4c89851497a717f"
    found = password_digest(nonce, "2003-12-15T14:43:07Z", Secret("taadtaadpstcsm"))
    assert found == "quR/EWLAV4xLf9Zqyw4pDmfV9OY="


@pytest.mark.parametrize("digest", [True, False])
@pytest.mark.parametrize("password", ["opensesame", "a&<b>]]>\"'", "Füße \U0001f600"])
def test_it_is_the_token_that_zeep_writes(password: str, digest: bool) -> None:
    zeep: Any = import_module("zeep.wsse.username")
    markup: Any = import_module("lxml.etree")
    theirs, _ = zeep.UsernameToken(
        "a<d>a", password, use_digest=digest, nonce="0123456789abcdef", created=WHEN, zulu_timestamp=True
    ).apply(markup.fromstring(ENVELOPE.encode()), {})
    nonce = b"0123456789abcdef"
    ours = security(Secret("a<d>a"), Secret(password), digest=digest, timestamp=False, now=WHEN, nonce=nonce)
    mine = parse(with_header(ENVELOPE.encode(), ours.encode()))
    other = parse(markup.tostring(theirs))
    wanted = [(each.name, each.space, each.text) for each in other.walk() if each.name != "mustUnderstand"]
    assert [(each.name, each.space, each.text) for each in mine.walk()] == wanted
    kinds = [each.attributes.get("Type", each.attributes.get("EncodingType")) for each in mine.walk()]
    assert kinds == [each.attributes.get("Type", each.attributes.get("EncodingType")) for each in other.walk()]


def test_a_nonce_and_its_moment_are_new_each_time() -> None:
    found = [texts(token(digest=True)) for _ in range(200)]
    nonces = {each["Nonce"] for each in found}
    assert len(nonces) == 200
    assert {len(base64.b64decode(each)) for each in nonces} == {16}
    assert len({each["Password"] for each in found}) == 200
    for each in found:
        nonce = base64.b64decode(each["Nonce"])
        assert each["Password"] == password_digest(nonce, each["Created"], Secret("opensesame"))


def test_a_timestamp_says_when_the_message_ends() -> None:
    found = token(timestamp=True)
    assert [each.name for each in found.children] == ["Timestamp", "UsernameToken"]
    created, expires = (datetime.fromisoformat(each.text) for each in found.children[0].children)
    assert (expires - created).total_seconds() == 300


XML = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1
)


@given(XML, XML, st.booleans())
def test_no_user_name_or_password_is_ever_markup(user: str, password: str, digest: bool) -> None:
    found = token(user, password, digest=digest)
    names = [each.name for each in found.walk()]
    more = ["Nonce", "Created"] if digest else []
    assert names == ["Security", "UsernameToken", "Username", "Password", *more]
    shown = texts(found)
    assert shown["Username"] == user
    assert digest or shown["Password"] == password


@pytest.mark.parametrize("text", ["a\r\nb\tc", "\r", "]]>", "<!--", "&#0;", "&amp;"])
def test_white_space_and_entities_arrive_as_they_are(text: str) -> None:
    assert texts(token(text, text))["Password"] == text


@pytest.mark.parametrize("text", ["a\0b", "\x1b", "\ufffe", "\ud800"])
def test_what_no_xml_can_hold_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(AuthRevokedError) as caught:
        token("ada", f"hunter2{text}")
    assert "hunter2" not in caught.value.as_text()


@pytest.mark.parametrize("space", [S11, S12])
@pytest.mark.parametrize(
    ("head", "around"),
    [("", "e:"), ("<e:Header/>", "e:"), ("<e:Header></e:Header>", "e:"), ("<e:Header><x/></e:Header>", "e:"), ("", "")],
)
def test_it_stands_in_the_envelope_s_header(space: str, head: str, around: str) -> None:
    own = f"xmlns:{around[:-1]}" if around else "xmlns"
    envelope = f'<{around}Envelope {own}="{space}">{head}<{around}Body/></{around}Envelope>'
    root = parse(with_header(envelope.encode(), b"<s:Security xmlns:s='urn:s'/>"))
    assert [each.name for each in root.children] == ["Header", "Body"]
    assert {each.space for each in root.children} == {space}
    assert [each.name for each in root.children[0].children][:1] == ["Security"]
    assert root.children[0].children[0].attributes == ({"mustUnderstand": "1"} if around else {})


@pytest.mark.parametrize("content", ["", "{}", "<a/>", "<EnvelopeX>", "x<e:Envelope>", "<e:Envelope/>"])
def test_a_request_that_is_no_soap_message_gets_no_password(content: str) -> None:
    request = httpx.Request("POST", "https://soap.example.com", content=content)
    with pytest.raises(InternalError, match="is none"):
        UsernameToken().apply(request, lambda _: Secret("opensesame"))
    assert IN_BODY not in request.extensions


def test_neither_the_request_nor_the_body_shows_the_password_in_words() -> None:
    request = httpx.Request("POST", "https://soap.example.com", content=ENVELOPE)
    UsernameToken().apply(request, lambda _: Secret("opensesame"))
    assert "opensesame" not in repr(request.extensions)
