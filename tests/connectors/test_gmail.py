"""Gmail: reading, labels and changes: what the tools send, and what they make of the answers."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from tests.connectors.calling import Calling, Tool, failed
from tests.connectors.gmail_box import HOST, NOW_MS, OWN, encoded, message
from tests.people import Person

from clew.connectors.gmail import gmail
from clew.core.api import Api
from clew.core.connection import Connection
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import Code, ConfigurationError, Outcome
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.journal import Journal, State
from clew.core.secret import Secret
from clew.core.subscriptions import Wish
from clew.core.webhooks import Delivery, Event, Refusal, verify

pytestmark = pytest.mark.anyio

ME = "/gmail/v1/users/me"
GONE = {"error": {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND"}}


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=HOST, assert_all_called=False) as router:
        yield router


@pytest.fixture
def tool(call: Calling, person: Person) -> Tool:
    return call.tool(gmail, person)


def bound(call: Any, effect: Effect = Effect.READ) -> Api:
    return Api(call.wire(gmail), Deadline.after(5), Trail(), effect, SilentHost())


def test_the_tools_and_what_they_do_to_the_world() -> None:
    assert {name: tool.effect.value for name, tool in gmail.tools.items()} == {
        "list_changes": "read",
        "create_draft": "write",
        "get_draft": "read",
        "send_draft": "write",
        "search_messages": "read",
        "get_message": "read",
        "get_attachment": "read",
        "read_thread": "read",
        "list_labels": "read",
        "label_messages": "write",
        "trash_message": "destructive",
        "preview_message": "read",
        "send_message": "write",
        "preview_reply": "read",
        "reply": "write",
    }
    assert {"send_draft", "send_message", "reply"} == set(gmail.asking)


async def test_the_identity_is_the_email_address(call: Any, api: respx.MockRouter) -> None:
    api.get(f"{ME}/profile").respond(json={"emailAddress": OWN})
    assert gmail.identify is not None
    assert await gmail.identify(bound(call)) == OWN


async def test_a_search_has_thrifty_lines_and_pages_to_its_end(tool: Tool, api: respx.MockRouter) -> None:
    listed = api.get(f"{ME}/messages")
    listed.side_effect = [
        httpx.Response(200, json={"messages": [{"id": "m1"}, {"id": "m2"}, {"id": "m3"}], "nextPageToken": "p2"}),
        httpx.Response(200, json={"resultSizeEstimate": 0}),
    ]
    api.get(f"{ME}/messages/m1").respond(json=message("m1", labels=("INBOX", "UNREAD"), Subject="Ünïcode ✓"))
    api.get(f"{ME}/messages/m2").respond(404, json=GONE)  # deleted since it was listed
    api.get(f"{ME}/messages/m3").respond(
        json=message("m3", labels=("DRAFT",), From="=?utf-8?q?=C3=96rs?= <o@x.example>") | {"threadId": "m3"}
    )
    found = await tool("search_messages", query="from:grace")
    first = {"id": "m1", "date": "2026-11-22T12:00:00Z", "snippet": "Don't worry"}
    assert found["items"] == [
        {**first, "thread_id": "tm1", "sender": "Grace <grace@away.example>", "subject": "Ünïcode ✓", "unread": True},
        {
            **first,
            "id": "m3",
            "sender": "Örs <o@x.example>",
            "subject": "Plans",
            "draft": True,
        },
    ]
    calls: Any = api.calls
    query = calls[1].request.url.params
    assert query.get_list("metadataHeaders") == ["From", "Subject", "Date"]
    assert (query["format"], calls[0].request.url.params["q"]) == ("metadata", "from:grace")
    then = await tool("search_messages", query="from:grace", cursor=found["next_cursor"])
    assert then == {"items": []}
    assert listed.calls.last.request.url.params["pageToken"] == "p2"


async def test_a_grant_that_is_revoked_while_paging_ends_the_search(tool: Tool, api: respx.MockRouter) -> None:
    api.get(f"{ME}/messages").respond(json={"messages": [{"id": "m1"}, {"id": "m2"}]})
    reason = {"error": {"code": 401, "errors": [{"reason": "authError"}]}}
    api.get(f"{ME}/messages/m1").respond(json=message("m1"))
    api.get(f"{ME}/messages/m2").respond(401, json=reason)
    error = await failed(tool, "search_messages")
    assert (error.code, error.outcome) == (Code.AUTH_REVOKED, Outcome.NOT_APPLIED)


def nested() -> dict[str, Any]:
    """Text in two forms, a picture within it, a file, and a message inside."""
    pdf = {"partId": "1", "mimeType": "application/pdf", "filename": "../in\\voice.pdf"}
    inner: dict[str, Any] = {
        "partId": "2",
        "mimeType": "message/rfc822",
        "filename": "",
        "body": {"size": 7, "attachmentId": "A2"},
    }
    html = {"partId": "0.1", "mimeType": "text/html", "filename": "", "body": {"data": encoded("<p>other</p>")}}
    plain = {
        "partId": "0.0",
        "mimeType": "text/plain",
        "filename": "",
        "body": {"data": encoded("Hallo Ü\r\n\r\nTschüß")},
    }
    alternative = {"partId": "0", "mimeType": "multipart/alternative", "filename": "", "parts": [plain, html]}
    inner["parts"] = [plain]
    whole = message("m1", Cc="a@x.example, B <b@x.example>")
    whole["payload"] |= {
        "mimeType": "multipart/mixed",
        "body": {"size": 0},
        "parts": [alternative, {**pdf, "body": {"size": 1234, "attachmentId": "A1"}}, inner],
    }
    return whole


async def test_a_message_has_its_text_and_names_what_is_attached(tool: Tool, api: respx.MockRouter) -> None:
    api.get(f"{ME}/messages/m1").respond(json=nested())
    assert await tool("get_message", message_id="m1") == {
        "id": "m1",
        "thread_id": "tm1",
        "date": "2026-11-22T12:00:00Z",
        "sender": "Grace <grace@away.example>",
        "to": [OWN],
        "cc": ["a@x.example", "b@x.example"],
        "subject": "Plans",
        "text": "Hallo Ü\n\nTschüß",
        "attachments": [
            {"part": "1", "filename": "voice.pdf", "content_type": "application/pdf", "size": 1234},
            {"part": "2", "filename": "part-2", "content_type": "message/rfc822", "size": 7},
        ],
        "labels": ["INBOX"],
    }


async def test_an_attachment_is_read_in_pieces_under_the_id_it_has_now(tool: Tool, api: respx.MockRouter) -> None:
    api.get(f"{ME}/messages/m1").respond(json=nested())
    route = api.get(f"{ME}/messages/m1/attachments/A1").respond(json={"data": encoded("%PDF-1.7"), "size": 8})
    first = await tool("get_attachment", message_id="m1", part="1", length=5)
    assert (first["content"], first["encoding"], first["next_offset"]) == ("JVBERi0=", "base64", 5)
    rest = await tool("get_attachment", message_id="m1", part="1", offset=5)
    assert (base64.b64decode(rest["content"]), "next_offset" in rest) == (b"1.7", False)
    assert route.call_count == 2
    for part in ("9", "0.0"):  # none, and the text itself
        assert (await failed(tool, "get_attachment", message_id="m1", part=part)).code is Code.NOT_FOUND


async def test_html_alone_is_read_as_words_and_long_texts_are_cut(tool: Tool, api: respx.MockRouter) -> None:
    page = message("m1")
    page["payload"] |= {"mimeType": "text/html", "body": {"data": encoded(f"<style>x</style><p>{'a' * 9000}</p>")}}
    api.get(f"{ME}/messages/m1").respond(json=page)
    found = await tool("get_message", message_id="m1")
    assert (len(found["text"]), found["text_length"]) == (8001, 9000)


@pytest.mark.parametrize("charset", ["iso-8859-1", "iso-2022-jp", "nonsense"])
async def test_a_text_in_another_charset_is_read(tool: Tool, api: respx.MockRouter, charset: str) -> None:
    text = {"iso-2022-jp": "日本", "iso-8859-1": "Grüße"}.get(charset, "x")
    found = message("m1")
    headers = [*found["payload"]["headers"], {"name": "Content-Type", "value": f'text/plain; charset="{charset}"'}]
    data = encoded(text, charset if charset != "nonsense" else "utf-8")
    found["payload"] |= {"headers": headers, "body": {"data": data}}
    api.get(f"{ME}/messages/m1").respond(json=found)
    assert (await tool("get_message", message_id="m1"))["text"] == text


SHAPELESS: list[Any] = [
    {},
    {"headers": "x", "parts": "y", "body": 3, "mimeType": 5},
    {"headers": [{"name": "From"}, 7, {"name": "Su bject", "value": "x"}], "parts": [1, {"parts": [{}]}]},
    {"mimeType": "text/plain", "body": {"data": "***", "size": "many"}},
]


@pytest.mark.parametrize("payload", SHAPELESS)
async def test_a_message_of_no_shape_is_an_empty_one(tool: Tool, api: respx.MockRouter, payload: Any) -> None:
    api.get(f"{ME}/messages/m1").respond(json={"id": "m1", "threadId": "t1", "internalDate": "x", "payload": payload})
    found = await tool("get_message", message_id="m1")
    assert (found["id"], found["text"]) == ("m1", "")


async def test_a_thread_shows_its_newest_messages(tool: Tool, api: respx.MockRouter) -> None:
    many = [message(f"m{number}", text="x" * 2000) for number in range(15)]
    api.get(f"{ME}/threads/t1").respond(json={"id": "t1", "messages": many})
    found = await tool("read_thread", thread_id="t1")
    assert [each["id"] for each in found["messages"]] == [f"m{number}" for number in range(3, 15)]
    assert found["earlier"] == 3
    assert found["messages"][0]["text_length"] == 2000
    assert not [each for each in found["messages"] if "thread_id" in each]


async def test_an_unknown_thread_says_how_to_go_on(tool: Tool, api: respx.MockRouter) -> None:
    api.get(f"{ME}/threads/t1").respond(404, json=GONE)
    error = await failed(tool, "read_thread", thread_id="t1")
    assert (error.code, "search_messages" in error.next_step) == (Code.NOT_FOUND, True)


LABELS = {"labels": [{"id": "INBOX", "name": "INBOX", "type": "system"}, {"id": "Label_7", "name": "Büro/Ärger"}]}


def labelled(api: respx.MockRouter, *ids: str) -> respx.Route:
    api.get(f"{ME}/labels").respond(json=LABELS)
    for each in ids:
        api.get(f"{ME}/messages/{each}").respond(json={"id": each, "threadId": "t1", "labelIds": ["INBOX"]})
    return api.post(f"{ME}/messages/batchModify").respond(204)


async def test_labels_are_given_by_name_and_all_messages_change_at_once(tool: Tool, api: respx.MockRouter) -> None:
    route = labelled(api, "m1", "m2")
    done = await tool("label_messages", message_ids=["m1", "m2", "m1"], add=["büro/ärger"], remove=["inbox"])
    sent = {"ids": ["m1", "m2"], "addLabelIds": ["Label_7"], "removeLabelIds": ["INBOX"]}
    assert json.loads(route.calls.last.request.content) == sent
    assert done == {"changed": 2, "added": ["Label_7"], "removed": ["INBOX"]}


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"add": ["Urlaub"]}, Code.INVALID_INPUT, "Urlaub"),
        ({}, Code.INVALID_INPUT, "nothing to change"),
        ({"add": ["INBOX"], "remove": ["INBOX"]}, Code.INVALID_INPUT, "both"),
        ({"remove": ["INBOX"], "message_ids": ["m1", "gone"]}, Code.NOT_FOUND, "1 of 2"),
    ],
)
async def test_labels_that_cannot_be_changed_change_nothing(
    tool: Tool, api: respx.MockRouter, given: dict[str, Any], code: Code, words: str
) -> None:
    route = labelled(api, "m1")
    api.get(f"{ME}/messages/gone").respond(404, json=GONE)
    error = await failed(tool, "label_messages", **{"message_ids": ["m1"], **given})
    assert (error.code, error.outcome, words in error.message) == (code, Outcome.NOT_APPLIED, True)
    assert route.call_count == 0


async def test_the_trash_is_no_label_to_add(tool: Tool, api: respx.MockRouter) -> None:
    api.get(f"{ME}/labels").respond(json={"labels": [{"id": "TRASH", "name": "TRASH"}]})
    error = await failed(tool, "label_messages", message_ids=["m1"], add=["trash"])
    assert (error.code, "trash_message" in error.next_step) == (Code.INVALID_INPUT, True)


async def test_labels_whose_answer_is_lost_are_set_again(tool: Tool, api: respx.MockRouter, journal: Journal) -> None:
    route = labelled(api, "m1")
    route.side_effect = [httpx.ReadError("reset"), httpx.Response(204)]
    await tool("label_messages", message_ids=["m1"], remove=["INBOX"])
    assert route.call_count == 2
    (row,) = await journal.rows()
    assert (row.state, row.settled_by) == (State.APPLIED, "repeat")


async def test_the_trash_asks_a_person_and_shows_the_message(tool: Tool, api: respx.MockRouter, person: Person) -> None:
    api.get(f"{ME}/messages/m1").respond(json=message("m1"))
    moved = api.post(f"{ME}/messages/m1/trash").respond(json={"id": "m1", "threadId": "t1", "labelIds": ["TRASH"]})
    person.agrees = False
    assert (await failed(tool, "trash_message", message_id="m1")).code is Code.DENIED
    assert moved.call_count == 0
    person.agrees = True
    assert (await tool("trash_message", message_id="m1"))["labels"] == ["TRASH"]
    assert person.asked[1].preview["subject"] == "Plans"


async def test_changes_begin_now_and_go_on_by_history_id(tool: Tool, api: respx.MockRouter) -> None:
    api.get(f"{ME}/profile").respond(json={"historyId": "4711"})
    assert await tool("list_changes", history_id="new") == {"items": [], "next_history_id": "4711"}
    came = {"message": {"id": "m1", "threadId": "t1", "labelIds": ["INBOX", "UNREAD"]}}
    read = {"message": {"id": "m1", "threadId": "t1", "labelIds": ["INBOX"]}, "labelIds": ["UNREAD"]}
    gone = {"message": {"id": "m2", "threadId": "t2"}}
    route = api.get(f"{ME}/history")
    route.side_effect = [
        httpx.Response(
            200, json={"history": [{"id": "1", "messagesAdded": [came]}], "historyId": "4800", "nextPageToken": "p2"}
        ),
        httpx.Response(
            200, json={"history": [{"messagesDeleted": [gone], "labelsRemoved": [read]}], "historyId": "4801"}
        ),
    ]
    first = await tool("list_changes", history_id="4711", label="INBOX")
    assert first["items"] == [{"kind": "added", "message_id": "m1", "thread_id": "t1", "labels": ["INBOX", "UNREAD"]}]
    assert "next_history_id" not in first  # it would skip what the next page has
    then = await tool("list_changes", history_id="4711", label="INBOX", cursor=first["next_cursor"])
    assert then["items"] == [
        {"kind": "deleted", "message_id": "m2", "thread_id": "t2"},
        {"kind": "labels_removed", "message_id": "m1", "thread_id": "t1", "labels": ["UNREAD"]},
    ]
    assert then["next_history_id"] == "4801"
    sent = route.calls.last.request.url.params
    assert (sent["startHistoryId"], sent["labelId"], sent["pageToken"]) == ("4711", "INBOX", "p2")


async def test_a_history_that_is_too_old_says_to_begin_anew(tool: Tool, api: respx.MockRouter) -> None:
    api.get(f"{ME}/history").respond(404, json=GONE)
    error = await failed(tool, "list_changes", history_id="1")
    assert (error.code, "history_id=new" in error.next_step) == (Code.CONFLICT, True)


async def test_a_watch_is_asked_for_with_its_topic_and_looked_at_by_asking_again(
    call: Any, api: respx.MockRouter
) -> None:
    route = api.post(f"{ME}/watch").respond(json={"historyId": "1", "expiration": str(NOW_MS)})
    stop = api.post(f"{ME}/stop").respond(204)
    way, writing = gmail.subscription, bound(call, Effect.WRITE)
    assert way is not None
    where = {
        "topic": "projects/a-project/topics/mail",
        "service_account": "push@a-project.iam.example",
        "labels": "INBOX",
    }
    made = await way.create(writing, Wish(url="https://h.example/in", secret=Secret("unused"), where=where))
    assert (made.id, made.ends_at) == (where["topic"], NOW_MS / 1000)
    assert made.secret is not None
    assert made.secret.reveal() == where["service_account"]
    sent = {"topicName": where["topic"], "labelIds": ["INBOX"], "labelFilterBehavior": "include"}
    assert json.loads(route.calls.last.request.content) == sent
    seen = await way.check(writing, made.id, where)
    assert seen is not None
    assert seen.ends_at == NOW_MS / 1000
    await way.remove(writing, made.id, where)
    assert (route.call_count, stop.call_count) == (2, 1)
    for wrong in ({"topic": "mail"}, {"service_account": "nobody"}):
        with pytest.raises(ConfigurationError):
            await way.create(writing, Wish(url="", secret=Secret("x"), where={**where, **wrong}))


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
URL = "https://h.example/webhooks/gmail"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def push(**claims: Any) -> Delivery:
    """What Pub/Sub sends, signed as Google signs it."""
    now = time.time()
    usual = {"iss": "https://accounts.google.com", "aud": URL, "email": "push@p.example", "iat": now, "exp": now + 60}
    text = f"{b64(json.dumps({'alg': 'RS256', 'kid': '1'}).encode())}.{b64(json.dumps({**usual, **claims}).encode())}"
    token = f"{text}.{b64(KEY.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"
    said = {"data": b64(b'{"emailAddress":"ada@home.example","historyId":"4712"}'), "messageId": "77"}
    body = {"message": {**said, "publishTime": "2026-11-22T12:00:00.5Z"}, "subscription": "projects/p/subscriptions/s"}
    return Delivery([("Authorization", f"Bearer {token}")], json.dumps(body).encode(), url=URL)


def test_a_notification_is_verified_by_its_token_and_read() -> None:
    numbers = KEY.public_key().public_numbers()
    n, e = (b64(each.to_bytes((each.bit_length() + 7) // 8)) for each in (numbers.n, numbers.e))
    held = [Secret(json.dumps({"keys": [{"kty": "RSA", "kid": "1", "n": n, "e": e}]})), Secret("push@p.example")]
    event = verify(gmail.webhook_schemes, push(), held)
    assert isinstance(event, Event)
    assert gmail.events is not None
    (seen,) = gmail.events.read(Connection("local", "gmail", "work"), event)
    assert (seen.reference, seen.occurred_at) == ("projects/p/subscriptions/s", NOW_MS / 1000 + 0.5)
    assert isinstance(verify(gmail.webhook_schemes, push(email="eve@p.example"), held), Refusal)
    assert isinstance(verify(gmail.webhook_schemes, push(aud="https://other.example/"), held), Refusal)
    assert isinstance(verify(gmail.webhook_schemes, push(), []), Refusal)
