"""Webhook verification: declared schemes, what is refused and why, and that nothing raises."""

import base64
import hashlib
import hmac
from typing import Any

import pytest

from clew.core.errors import ConfigurationError
from clew.core.secret import Secret
from clew.core.webhooks import (
    BodyHash,
    ClientCertificate,
    Delivery,
    Event,
    Hmac,
    Jwt,
    KeyUrl,
    PublicKey,
    Refusal,
    Refused,
    Scheme,
    SharedSecret,
    Timestamp,
    verify,
)
from clew.core.webhooks.attempts import nothing_known
from clew.core.webhooks.delivery import RefusedError, lister, reader, to_bytes
from clew.core.webhooks.keyplaces import is_pinned
from clew.core.webhooks.secrets import Given, decoded, encoded, shared_key, sort, unpadded
from clew.core.webhooks.templates import Filling, Template
from clew.core.webhooks.times import items
from clew.core.webhooks.urls import forms

NOW = 1_790_000_000.0
KEY = Secret("k3y-for-tests")
PLAIN = Scheme(name="plain", proof=Hmac(signature="X-Sig"), delivery_id=("X-Id", "json:id"), event_type="json:type")


def sig(body: bytes, key: str = "k3y-for-tests", hash: str = "sha256") -> str:
    return hmac.digest(key.encode(), body, hash).hex()


def accepted(found: Event | Refusal) -> Event:
    assert isinstance(found, Event), found
    return found


def why(found: Event | Refusal) -> Refused:
    assert isinstance(found, Refusal), found
    return found.code


def test_an_event_is_made_by_verify_alone() -> None:
    body = b'{"id":"e1","type":"t"}'
    event = accepted(verify(PLAIN, Delivery([("x-sig", sig(body))], body), [KEY]))
    assert (event.scheme, event.type, event.delivery_id, event.secret) == ("plain", "t", "e1", 0)
    assert event.id_is_signed
    assert event.body_hash == hashlib.sha256(body).hexdigest()
    assert event.data == {"id": "e1", "type": "t"}
    assert event.claims == {}
    assert (event.signed_at, event.replayable_for, event.covers_body) == (None, None, True)
    assert "plain" in repr(event)
    with pytest.raises(TypeError, match="verify"):
        Event(PLAIN, PLAIN.proofs[0], event.delivery, object(), (0, None))


def test_an_unsigned_id_is_known_to_be_one() -> None:
    event = accepted(verify(PLAIN, Delivery([("x-sig", sig(b"")), ("X-Id", "1")], b""), [KEY]))
    assert event.delivery_id == "1"
    assert not event.id_is_signed
    assert event.type is None
    assert event.data is None
    nameless = accepted(verify(PLAIN, Delivery([("x-sig", sig(b""))], b""), [KEY]))
    assert nameless.delivery_id is None
    assert not nameless.id_is_signed


def test_the_fields_of_a_form_are_data() -> None:
    body = b"a=1&b=2&a=3&a=4"
    headers = [("x-sig", sig(body)), ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]
    assert accepted(verify(PLAIN, Delivery(headers, body), [KEY])).data == {"a": ["1", "3", "4"], "b": "2"}
    assert accepted(verify(PLAIN, Delivery(headers[:1], body), [KEY])).data is None


def test_headers_of_a_server_are_bytes() -> None:
    delivery = Delivery([(b"X-Sig", sig(b"x").encode()), (b"x-other", b"\xe9")], b"x")
    accepted(verify(PLAIN, delivery, [KEY]))
    assert delivery.headers["x-other"] == "é"
    assert Delivery([("A", "b")], b"").headers == {"a": "b"}
    twice = Delivery([(b"X-Sig", b"1"), (b"x-sig", b"1")], b"x")
    assert why(verify(PLAIN, twice, [KEY])) is Refused.AMBIGUOUS


def test_a_fault_of_ours_accepts_nothing() -> None:
    broken: Any = object()
    assert why(verify(PLAIN, broken, [KEY])) is Refused.INTERNAL
    assert why(verify(PLAIN, Delivery([], b""), [KEY], now=float("nan"))) is Refused.MALFORMED
    assert why(verify(PLAIN, Delivery([], b""), [KEY], tolerance=-1)) is Refused.MALFORMED


def test_of_several_schemes_the_one_that_is_used_decides() -> None:
    other = Scheme(name="other", proof=SharedSecret(place="X-Token", when={"X-Kind": "a|b"}))
    both = [PLAIN, other]
    event = accepted(verify(both, Delivery([("X-Token", "k3y-for-tests"), ("X-Kind", "a")], b""), [KEY]))
    assert event.scheme == "other"
    assert not event.covers_body
    assert why(verify(both, Delivery([("X-Token", "k3y-for-tests")], b""), [KEY])) is Refused.NO_SIGNATURE
    assert why(verify(both, Delivery([], b""), [])) is Refused.NO_SIGNATURE
    assert why(verify([], Delivery([], b""), [])) is Refused.NO_SIGNATURE
    forged = Delivery([("X-Sig", "00"), ("X-Token", "k3y-for-tests")], b"")
    assert why(verify(both, forged, [KEY])) is Refused.MISMATCH


def test_of_several_ways_one_must_hold() -> None:
    ways = Scheme(name="ways", proof=(Hmac(signature="X-A", key="base64"), SharedSecret(place="X-B")))
    accepted(verify(ways, Delivery([("X-A", "00"), ("X-B", "k3y-for-tests")], b""), [KEY]))
    assert why(verify(ways, Delivery([("X-A", "00"), ("X-B", "no")], b""), [KEY])) is Refused.MISMATCH
    assert why(verify(ways, Delivery([("X-A", "00")], b""), [KEY])) is Refused.BAD_SECRET
    assert why(verify(ways, Delivery([], b""), [KEY])) is Refused.NO_SIGNATURE
    assert why(verify(ways, Delivery([], b""), [])) is Refused.NO_SECRET


def test_a_refusal_for_want_of_a_secret_names_the_command() -> None:
    found = verify(PLAIN, Delivery([("X-Sig", "00")], b""), [])
    assert isinstance(found, Refusal)
    assert found.reason == "no secret is configured. Set it with: clew webhooks set plain"


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("s", "1790000000"), ("ms", "1790000000123"), ("us", "1790000000123456"),
        ("ns", "1790000000123456789"), ("iso", "2026-09-21T14:13:20Z"), ("iso", "2026-09-21T16:13:20.123+02:00"),
        ("iso", "2026-09-21T14:13:20"), ("rfc", "Mon, 21 Sep 2026 14:13:20 GMT"),
    ],
)  # fmt: skip
def test_times_are_read_in_their_units(unit: Any, text: str) -> None:
    scheme = Scheme(name="t", proof=Hmac(signature="X-S", signed="{ts}.{body}", timestamp=Timestamp("X-T", unit=unit)))
    delivery = Delivery([("X-S", sig(f"{text}.b".encode())), ("X-T", text)], b"b")
    event = accepted(verify(scheme, delivery, [KEY], now=NOW))
    assert event.signed_at == pytest.approx(NOW, abs=1)
    assert event.replayable_for == 300
    assert why(verify(scheme, delivery, [KEY], now=NOW + 302)) is Refused.TOO_OLD
    assert why(verify(scheme, delivery, [KEY], now=NOW - 302)) is Refused.IN_FUTURE
    assert why(verify(scheme, delivery, [KEY], now=NOW + 20, tolerance=10)) is Refused.TOO_OLD
    assert why(verify(scheme, delivery, [KEY], now=NOW - 20, tolerance=10)) is Refused.IN_FUTURE


@pytest.mark.parametrize("text", ["", "x", "-5", "1e9", "١٧٩", "NaN", "9" * 40, "2026-13-01", "0x10", " 1790000000"])
def test_a_time_that_cannot_be_read_is_refused(text: str) -> None:
    units: list[Any] = ["s", "ms", "iso", "rfc"]
    for unit in units:
        scheme = Scheme(name="t", proof=Hmac(signature="X-S", timestamp=Timestamp("X-T", unit=unit)))
        found = verify(scheme, Delivery([("X-S", sig(b"")), ("X-T", text)], b""), [KEY], now=NOW)
        assert why(found) in (Refused.MALFORMED, Refused.TOO_OLD, Refused.IN_FUTURE)


def test_a_time_without_a_window_is_still_not_from_the_future() -> None:
    scheme = Scheme(name="t", proof=Hmac(signature="X-S", timestamp=Timestamp("X-T", tolerance=None)))
    delivery = Delivery([("X-S", sig(b"")), ("X-T", str(int(NOW)))], b"")
    accepted(verify(scheme, delivery, [KEY], now=NOW + 1e7))
    assert why(verify(scheme, delivery, [KEY], now=NOW - 400)) is Refused.IN_FUTURE


def test_the_first_place_of_a_time_that_is_there_counts() -> None:
    timestamp = Timestamp(("json:at", "X-T"), optional=True)
    scheme = Scheme(name="t", proof=Hmac(signature="X-S", timestamp=timestamp))
    body = b'{"at":1790000000}'
    accepted(verify(scheme, Delivery([("X-S", sig(body)), ("X-T", "0")], body), [KEY], now=NOW))
    assert accepted(verify(scheme, Delivery([("X-S", sig(b"{}"))], b"{}"), [KEY], now=NOW)).signed_at is None
    packed = Scheme(name="p", proof=Hmac(signature="X-S", prefix="v=", separator=",", signed="{ts}",
                                         timestamp=Timestamp("X-S", prefix="t=", separator=",")))  # fmt: skip
    right = f"t=1790000000,v={sig(b'1790000000')}"
    accepted(verify(packed, Delivery([("X-S", right)], b""), [KEY], now=NOW))
    assert not accepted(verify(packed, Delivery([("X-S", right)], b""), [KEY], now=NOW)).covers_body
    assert why(verify(packed, Delivery([("X-S", f"t=1,{right}")], b""), [KEY], now=NOW)) is Refused.AMBIGUOUS
    assert why(verify(packed, Delivery([("X-S", "v=00")], b""), [KEY], now=NOW)) is Refused.MALFORMED
    many = "t=1," + ",".join(["v=00"] * 51)
    assert why(verify(packed, Delivery([("X-S", many)], b""), [KEY], now=NOW)) is Refused.MALFORMED
    assert why(verify(packed, Delivery([("X-S", "t=1,v=")], b""), [KEY], now=NOW)) is Refused.NO_SIGNATURE


@pytest.mark.parametrize(
    "bad",
    [
        Hmac, lambda: Hmac(signature="X y"), lambda: Hmac(signature="body:x"), lambda: Hmac(signature="json:"),
        lambda: Hmac(signature="X", signed="{ts}"), lambda: Hmac(signature="X", signed="{id}"),
        lambda: Hmac(signature="X", signed="{nothing}"), lambda: Hmac(signature="X", signed="{"),
        lambda: Hmac(signature="X", hash="crc"), lambda: Hmac(signature="X", key="rot13"),  # type: ignore[arg-type]
        lambda: Hmac(signature="X", encoding="rot13"), lambda: Hmac(signature="X", keyed=False),  # type: ignore[arg-type]
        lambda: Hmac(signature="X", when={"X": "("}), lambda: Timestamp("X", unit="weeks"),  # type: ignore[arg-type]
        lambda: Timestamp("X", tolerance=-1), lambda: PublicKey(signature="X", algorithm="rot13"),
        lambda: KeyUrl(place="X", host="("), lambda: Jwt(algorithms=("none",)), lambda: Jwt(algorithms=()),
        lambda: Jwt(algorithms=("HS256", "RS256")), lambda: Jwt(issuer="("),
        lambda: Scheme(name="No Name", proof=SharedSecret(place="X")), lambda: Scheme(name="n", proof=()),
        lambda: BodyHash("X", hash="crc"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_the_authors_mistake(bad: Any) -> None:
    with pytest.raises(ConfigurationError):
        bad()


def test_places_are_read_once_or_refused() -> None:
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    delivery = Delivery(form, b"a=1&b=2&b=3&c=%FF", url="https://h/p?q=1&r=1&r=2")
    assert reader("form:a")(delivery) == "1"
    assert reader("form:z")(delivery) is None
    assert reader("query:q")(delivery) == "1"
    for place in ("form:b", "query:r"):
        with pytest.raises(RefusedError):
            reader(place)(delivery)
    assert to_bytes(str(reader("form:c")(delivery))) == b"\xff"
    assert to_bytes("\ud83d") == b"\xed\xa0\xbd"
    assert reader("form:a")(Delivery([("content-type", "text/plain")], b"a=1")) is None
    assert reader("json:a.b")(Delivery([], b'{"a":{"b":true}}')) == "true"
    assert reader("json:a")(Delivery([], b"\xff")) is None
    assert reader("query:q")(Delivery([], b"", url="https://h/?q=\u65e5")) == "\u65e5"
    assert lister("json:v[*]")(Delivery([], b'{"v":["a",null]}')) == ["a", ""]
    assert lister("X-A")(Delivery([], b"")) == []
    with pytest.raises(RefusedError):
        _ = Delivery([], b"&".join([b"a=1"] * 1001)).form
    with pytest.raises(RefusedError):
        _ = Delivery([], b"", url="https://[x").query


def test_templates_are_filled_with_what_was_sent() -> None:
    body = b'{"a":1,"Name":"n"}'
    delivery = Delivery([("X-H", "h")], body, method="post", url="https://h.example:8/p?q=1")
    filling = Filling(delivery, delivery.url, "T", "I", b"S", {"name": "N"})
    text = "{{{method}}} {host} {path} {query} {target} {ts} {id} {secret} {url} {setting:name} {header:X-H} {json:a}"
    expected = b"{POST} h.example:8 /p q=1 /p?q=1 T I S https://h.example:8/p?q=1 N h 1"
    assert Template(text).fill(filling) == expected
    assert Template("{line:json:Name}{line?:json:None}{json?:b}").fill(filling) == b"Name\nn\n"
    assert Template("{query:q}{md5}").fill(filling) == b"1" + hashlib.md5(body).hexdigest().encode()
    assert Template("{sha256}").fill(filling) == hashlib.sha256(body).hexdigest().encode()
    assert Template("{sha256_base64}").fill(filling) == base64.b64encode(hashlib.sha256(body).digest())
    assert Template("{crc32}").fill(Filling(Delivery([], b"123456789"))) == b"3421780262"
    assert Template("{target}{path}").fill(Filling(Delivery([], b"", url="https://h"))) == b"//"
    for missing in ("{json:b}", "{setting:other}", "{sorted_form}"):
        with pytest.raises(RefusedError):
            Template(missing).fill(Filling(Delivery([("content-type", "application/json")], body)))
    for body in (b"&", b"=1"):
        with pytest.raises(RefusedError):
            Template("{sorted_form}").fill(Filling(Delivery([], body)))
    assert Template("{sorted_form}").fill(Filling(Delivery([], b"b=1&a=2&b=0&b=1"))) == b"a2b0b1"


def test_a_missing_id_that_is_signed_is_refused() -> None:
    scheme = Scheme(name="i", proof=Hmac(signature="X-S", id="X-I", signed="{id}.{body}"), delivery_id="X-I")
    delivery = Delivery([("X-S", sig(b"1.b")), ("x-i", "1")], b"b")
    assert accepted(verify(scheme, delivery, [KEY])).id_is_signed
    assert why(verify(scheme, Delivery([("X-S", sig(b"1.b"))], b"b"), [KEY])) is Refused.MALFORMED


def test_the_url_is_tried_in_the_ways_that_senders_write_it() -> None:
    assert forms("https://h/p?a=%3A%20", ("exact", "decoded")) == ["https://h/p?a=%3A%20", "https://h/p?a=:%20"]
    assert forms("https://h/p", ("ports",)) == ["https://h/p", "https://h:443/p"]
    assert forms("http://h:80/p", ("ports",)) == ["http://h:80/p", "http://h/p"]
    assert forms("ftp://h/p", ("ports",)) == ["ftp://h/p"]
    assert forms("https://h:x/p", ("ports",)) == ["https://h:x/p"]
    assert forms("https://h/p?q", ("no_query",)) == ["https://h/p"]
    with pytest.raises(RefusedError):
        forms("", ("exact",))


def test_secrets_are_read_as_they_are_shown() -> None:
    assert shared_key("whsec_a2V5", "base64", "whsec_") == b"key"
    assert shared_key("a2V5", "base64", "whsec_") == b"key"
    assert shared_key("a2U", "base64", "") == b"ke"
    assert shared_key("a2U", "base64url", "") == b"ke"
    assert shared_key("6b", "hex", "") == b"k"
    assert shared_key("pre-key", "text", "pre-") == b"key"
    for text, encoding, prefix in (("!!", "base64", ""), ("zz", "hex", ""), ("whsec_", "base64", "whsec_"),
                                   ("-----BEGIN PUBLIC KEY-----", "text", ""), ("+", "base64url", "")):  # fmt: skip
        with pytest.raises(RefusedError):
            shared_key(text, encoding, prefix)  # type: ignore[arg-type]
    given = sort(
        [Secret('{"a": 1, "b": "x"}'), Secret("{not json"), Secret('{"keys": []}'), Secret(" "), Secret("[1]")]
    )
    assert given == Given(("{not json", '{"keys": []}', "[1]"), {"a": "1", "b": "x"})
    assert items("v1,a v1,b x", " ", "v1,") == ["a", "b"]


def test_signatures_are_decoded_strictly() -> None:
    assert decoded("00ff", "hex") == b"\x00\xff"
    assert decoded("AP8=", "base64") == b"\x00\xff"
    assert decoded(encoded(b"\x00\xff", "base64url"), "base64url") == b"\x00\xff"
    for text, encoding in (("0 0f", "hex"), ("zz", "hex"), ("A", "base64"), ("!", "base64"), ("AP9=", "base64url")):
        with pytest.raises(RefusedError):
            decoded(text, encoding)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="canonical"):
        unpadded("AP9")


def test_hex_in_capitals_only_where_the_provider_sends_it() -> None:
    loud = Scheme(name="loud", proof=Hmac(signature="X-Sig", any_case=True))
    delivery = Delivery([("X-Sig", sig(b"x").upper())], b"x")
    accepted(verify(loud, delivery, [KEY]))
    assert why(verify(PLAIN, delivery, [KEY])) is Refused.MISMATCH


def test_a_body_hash_with_a_prefix() -> None:
    proof = Hmac(signature="X-S", signed="{header:Digest}", body_hash=BodyHash("Digest", prefix="sha-256="))
    scheme = Scheme(name="d", proof=proof)
    digest = f"sha-256={hashlib.sha256(b'b').hexdigest()}"
    headers = [("X-S", sig(digest.encode())), ("Digest", digest)]
    assert accepted(verify(scheme, Delivery(headers, b"b"), [KEY])).covers_body
    assert why(verify(scheme, Delivery(headers, b"c"), [KEY])) is Refused.BODY_CHANGED
    assert why(verify(scheme, Delivery(headers[:1], b"b"), [KEY])) is Refused.MALFORMED
    other = Scheme(name="d", proof=Hmac(signature="X-S", signed="x", body_hash=BodyHash("Digest")))
    assert why(verify(other, Delivery([("X-S", sig(b"x"))], b""), [KEY])) is Refused.MALFORMED


def test_basic_authentication_is_compared_whole() -> None:
    scheme = Scheme(name="b", proof=SharedSecret(place="Authorization", basic=True))
    for text, expected in (("basic dTpw", None), ("Bearer x", Refused.NO_SIGNATURE), ("Basic !", Refused.MALFORMED),
                           ("Basic dTpx", Refused.MISMATCH)):  # fmt: skip
        found = verify(scheme, Delivery([("Authorization", text)], b""), [Secret("u:p")])
        assert (found.code if isinstance(found, Refusal) else None) is expected
    assert why(verify(scheme, Delivery([], b""), [Secret("u:p")])) is Refused.NO_SIGNATURE
    assert scheme.proofs[0].replayable_for is None


def test_a_client_certificate_must_be_verified_and_ours() -> None:
    scheme = Scheme(name="m", proof=ClientCertificate(subject="X-DN", verified="X-OK"))
    good = [("X-OK", "SUCCESS"), ("X-DN", "/O=Example/CN=events.example")]
    accepted(verify(scheme, Delivery(good, b""), [Secret("events.example")]))
    accepted(verify(scheme, Delivery(good, b""), [Secret("x"), Secret("O=Example, CN=events.example")]))
    assert scheme.proofs[0].applies(Delivery(good, b""))
    assert scheme.proofs[0].replayable_for is None
    assert not scheme.covers_body
    for headers, expected in ((good[:1], Refused.NO_SIGNATURE), (good[1:], Refused.MISMATCH),
                              ([good[0], ("X-DN", "CN=events.example.evil")], Refused.MISMATCH)):  # fmt: skip
        assert why(verify(scheme, Delivery(headers, b""), [Secret("events.example")])) is expected
    assert why(verify(scheme, Delivery(good, b""), [Secret("=")])) is Refused.MISMATCH


def test_only_plain_addresses_of_the_provider_are_pinned() -> None:
    assert is_pinned("https://a.example/x", r"a\.example", r"/x")
    for url in ("https://a.example:x/x", "https://u@a.example/x", "https://a.example/x#f", "https://A.example\\x"):
        assert not is_pinned(url, r"a\.example", r"/x")
    assert nothing_known("https://a.example/x") is None


def test_only_a_number_of_json_has_a_fraction() -> None:
    timestamps = {"header": Timestamp("X-T"), "body": Timestamp("json:t")}
    body = b'{"t":1790000000.5}'
    for where, timestamp in timestamps.items():
        scheme = Scheme(name="t", proof=Hmac(signature="X-S", signed="{ts}.{body}", timestamp=timestamp))
        delivery = Delivery([("X-S", sig(b"1790000000.5." + body)), ("X-T", "1790000000.5")], body)
        assert isinstance(verify(scheme, delivery, [KEY], now=NOW), Event) is (where == "body")


def test_a_condition_counts_where_there_is_one_way_only() -> None:
    scheme = Scheme(name="t", proof=Hmac(signature="X-S", when={"json:items[1]": ""}))
    one, two = b'{"items":[1]}', b'{"items":[1,2]}'
    accepted(verify(scheme, Delivery([("X-S", sig(one))], one), [KEY], now=NOW))
    assert why(verify(scheme, Delivery([("X-S", sig(two))], two), [KEY], now=NOW)) is Refused.NO_SIGNATURE


@pytest.mark.parametrize("place", ["json:a", "form:a"])
def test_what_is_to_be_sorted_must_be_there(place: str) -> None:
    kind = place.partition(":")[0]
    scheme = Scheme(name="t", proof=Hmac(signature="X-S", signed=f"{{sorted_{kind}:&}}"))
    for body in (b"[1]", b'{"a":{"b":1}}', b"a=1"):
        delivery = Delivery([("X-S", sig(b"a=1")), ("Content-Type", "text/plain")], body)
        assert why(verify(scheme, delivery, [KEY], now=NOW)) is Refused.MALFORMED
    body, label = (
        (b'{"a":1,"b":null}', "application/json") if kind == "json" else (b"a=1", "application/x-www-form-urlencoded")
    )
    delivery = Delivery([("X-S", sig(b"a=1")), ("Content-Type", label)], body)
    accepted(verify(scheme, delivery, [KEY], now=NOW))


@pytest.mark.parametrize("item", [-1, 0])
def test_an_item_is_a_position_between_separators(item: int) -> None:
    with pytest.raises(ConfigurationError):
        Timestamp("X-T", item=item)


@pytest.mark.parametrize("encoding", ["base64_unpadded", "base64url_padded", "base64_hex"])
def test_every_way_to_write_a_signature_is_read_back(encoding: Any) -> None:
    raw = bytes(range(32))
    text = encoded(raw, encoding)
    assert decoded(text, encoding) == raw
    with pytest.raises(RefusedError):
        decoded(text[:-1] + "!", encoding)


def test_a_signature_that_does_not_begin_as_it_should_is_none() -> None:
    scheme = Scheme(name="t", proof=Hmac(signature="X-S", prefix="sha256="))
    assert why(verify(scheme, Delivery([("X-S", "sha512=" + "0" * 128)], b""), [KEY])) is Refused.NO_SIGNATURE


def test_a_url_that_is_signed_has_to_be_known() -> None:
    scheme = Scheme(name="t", proof=Hmac(signature="X-S", signed="{url}{body}"))
    assert why(verify(scheme, Delivery([("X-S", sig(b""))], b""), [KEY])) is Refused.MALFORMED
