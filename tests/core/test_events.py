"""Events as data: what a verified delivery says, and what makes it a duplicate."""

import hashlib
import hmac
import json
from typing import Any

import pytest

from clew.core.connection import Connection
from clew.core.errors import ConfigurationError
from clew.core.events import Events, clean
from clew.core.inbox import REMEMBERED, REMEMBERED_SIGNED_TIME, Incoming
from clew.core.secret import Secret
from clew.core.webhooks import Delivery, Event, Hmac, Scheme, SharedSecret, Timestamp, verify

ACME = Connection("local", "acme", "work")
KEY = "a test key"


def event(body: Any, *, scheme: Scheme | None = None, **headers: str) -> Event:
    """A verified delivery of `body`, signed with the time 1000 where the scheme wants one."""
    chosen = scheme or Scheme(name="test", proof=Hmac(signature="x-sig"), delivery_id="x-id", event_type="x-type")
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    signed = b"1000." + content if "ts" in str(chosen.proof) and "{ts}" in str(chosen.proof) else content
    digest = hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
    given = {"x-sig": digest, "x-ts": "1000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    found = verify(chosen, Delivery(list(given.items()), content), [Secret(KEY)], now=1000.0)
    assert isinstance(found, Event), found
    return found


def one(facts: Events, body: Any, **headers: str) -> Incoming:
    (found,) = facts.read(ACME, event(body, scheme=None, **headers))
    return found


def test_what_stands_where_it_is_declared_is_read() -> None:
    facts = Events(
        type="kind",
        action="action",
        reference=("missing.id", "data.id"),
        order="data.customer",
        occurred="at",
        states={"payment.done": "succeeded"},
    )
    found = one(facts, {"kind": "payment", "action": "done", "at": 1700000000, "data": {"id": 7, "customer": "c1"}})
    assert (found.type, found.reference, found.order, found.state) == ("payment.done", "7", "c1", "succeeded")
    assert found.occurred_at == 1700000000
    assert json.loads(found.payload)["data"] == {"id": 7, "customer": "c1"}


def test_without_a_declaration_the_delivery_speaks_for_itself() -> None:
    found = one(Events(), {"a": 1}, x_type="push")
    assert (found.type, found.reference, found.order, found.state) == ("push", "", "", "")
    assert one(Events(reference="id"), b"no json").type == "event"
    assert json.loads(one(Events(), b"no json \xff").payload) == {"body": "no json \ufffd"}


def test_a_state_can_belong_to_a_type_whatever_its_action() -> None:
    assert (
        one(Events(type="kind", action="action", states={"a": "bounced"}), {"kind": "a", "action": "x"}).state
        == "bounced"
    )


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1700000000, 1700000000.0),
        (1700000000123, 1700000000.123),
        ("1700000000", 1700000000.0),
        ("2026-11-22T10:00:00Z", 1795341600.0),
        ("2026-11-22T10:00:00", 1795341600.0),
        ("yesterday", None),
        (None, None),
        (True, None),
        ([], None),
        (-5, None),
    ],
)
def test_times_are_read_in_the_units_that_providers_use(value: Any, moment: float | None) -> None:
    assert one(Events(occurred="at"), {"at": value}).occurred_at == moment


def test_a_delivery_may_carry_several_events() -> None:
    facts = Events(items="events", type="name", id="id")
    first, second = facts.read(ACME, event({"events": [{"name": "a", "id": 1}, {"name": "b", "id": 2}]}))
    assert (first.type, second.type, first.keys, second.keys) == ("a", "b", ("event:1",), ("event:2",))
    assert [each.type for each in Events(type="name").read(ACME, event([{"name": "a"}, {"name": "b"}]))] == ["a", "b"]
    assert Events().read(ACME, event([])) == []


def test_events_of_one_delivery_without_ids_are_told_apart() -> None:
    first, second = Events().read(ACME, event([{"a": 1}, {"a": 1}]))
    assert set(first.keys).isdisjoint(second.keys)


def test_an_id_that_is_not_signed_does_not_hide_a_copy() -> None:
    genuine, copied = one(Events(), {"a": 1}, x_id="1"), one(Events(), {"a": 1}, x_id="2")
    assert not set(genuine.keys).isdisjoint(copied.keys)
    assert set(genuine.keys).isdisjoint(one(Events(), {"a": 2}, x_id="3").keys)


def test_an_id_that_is_signed_is_enough() -> None:
    scheme = Scheme(name="test", proof=Hmac(signature="x-sig"), delivery_id="json:id")
    (found,) = Events().read(ACME, event({"id": "e1"}, scheme=scheme))
    assert found.keys == ("id:e1:",)


def test_what_can_be_replayed_for_ever_is_remembered_longest() -> None:
    timed = Scheme(name="t", proof=Hmac(signature="x-sig", signed="{ts}.{body}", timestamp=Timestamp("x-ts")))
    (found,) = Events().read(ACME, event({"a": 1}, scheme=timed))
    assert found.remembered == REMEMBERED_SIGNED_TIME
    assert found.occurred_at == 1000.0
    assert one(Events(), {"a": 1}).remembered == REMEMBERED


def test_foreign_text_is_made_fit_for_every_store() -> None:
    found = one(Events(type="kind", reference="id"), b'{"kind": "a\\u0000b", "id": "' + b"x" * 500 + b'"}')
    assert found.type == "a\ufffdb"
    assert len(found.reference) == 200
    assert clean("half \ud800") == "half \ufffd"


@pytest.mark.parametrize("facts", [{"type": "a..b"}, {"occurred": "["}, {"states": {"a": "vanished"}}])
def test_a_declaration_that_cannot_work_is_refused(facts: Any) -> None:
    with pytest.raises(ConfigurationError):
        Events(**facts)


def test_a_reference_may_be_a_part_of_what_stands_there() -> None:
    facts = Events(reference="id", reference_pattern=r"(.+?)\.recvd")
    ids = [one(facts, {"id": text}).reference for text in ("a.b.recvd-1.0", "other")]
    assert ids == ["a.b", "other"]


@pytest.mark.parametrize("pattern", ["no group", "(two)(groups)", "("])
def test_a_pattern_that_names_no_reference_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError):
        Events(reference="id", reference_pattern=pattern)


def test_an_id_of_two_places_needs_both_and_is_signed_only_where_both_are() -> None:
    token = SharedSecret(place="X-Token")
    scheme = Scheme(name="two", proof=token, delivery_id="X-Channel + X-Number")
    headers = [("X-Token", "s"), ("X-Channel", "c"), ("X-Number", "1")]
    both = verify(scheme, Delivery(headers, b""), [Secret("s")])
    one = verify(scheme, Delivery(headers[:2], b""), [Secret("s")])
    assert isinstance(both, Event)
    assert isinstance(one, Event)
    assert (both.delivery_id, one.delivery_id) == ("c:1", None)
    assert not both.id_is_signed
    signed = Hmac(signature="X-S", signed="{id}.{body}", id="X-Channel")
    assert not Scheme(name="half", proof=signed, delivery_id="X-Channel + X-Number").signs("X-Channel + X-Number")


def test_headers_join_what_is_kept_where_there_is_no_body() -> None:
    scheme = Scheme(name="bare", proof=SharedSecret(place="X-Token"), delivery_id="X-Number")
    events = Events(reference="channel", headers={"channel": "X-Channel", "more": "X-More"})
    for body, more in ((b"", {}), (b'{"a":1}', {"a": 1})):
        event = verify(scheme, Delivery([("X-Token", "s"), ("X-Channel", "c"), ("X-Number", "1")], body), [Secret("s")])
        assert isinstance(event, Event)
        (found,) = events.read(Connection("local", "bare", "work"), event)
        assert (found.reference, json.loads(found.payload)) == ("c", {**more, "channel": "c"})
        # A body that is there still tells copies apart whose id was changed.
        assert found.keys[0] == "id:1:"
        assert len(found.keys) == (2 if body else 1)
