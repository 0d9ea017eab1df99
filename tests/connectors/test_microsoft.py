"""Microsoft 365: facts, reading mail, following a folder, keeping order: what is sent, and what is made of answers."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool, failed
from tests.connectors.graph_box import OWN, ROOT, Box, message, refused, request_of, somebody
from tests.people import Person

from clew.connectors.microsoft import microsoft
from clew.core.api import Api
from clew.core.connection import Connection
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import CallError, Code, ConfigurationError, ContractChangedError, Outcome, Retry
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.secret import Secret
from clew.core.subscriptions import Wish
from clew.core.webhooks import Delivery, Event, Refusal, verify
from clew.core.webhooks.answering import Answer, answer

pytestmark = pytest.mark.anyio

NEXT = "@odata.nextLink"
DELTA = "@odata.deltaLink"


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=ROOT, assert_all_called=False) as router:
        yield router


@pytest.fixture
def tool(call: Calling) -> Tool:
    return call.tool(microsoft, Person())


def bound(call: Any, effect: Effect = Effect.READ) -> Api:
    return Api(call.wire(microsoft), Deadline.after(5), Trail(), effect, SilentHost())


def test_the_tools_and_what_they_do_to_the_world() -> None:
    assert {name: tool.effect.value for name, tool in microsoft.tools.items()} == {
        "search_messages": "read",
        "get_message": "read",
        "update_messages": "write",
        "create_draft": "write",
        "send_draft": "write",
        "preview_message": "read",
        "send_message": "write",
        "list_events": "read",
        "get_event": "read",
        "find_meeting_times": "read",
        "create_event": "write",
        "update_event": "write",
        "preview_cancellation": "read",
        "cancel_event": "destructive",
    }
    assert set(microsoft.asking) == {"send_draft", "send_message", "create_event", "update_event"}


@pytest.mark.parametrize(("mail", "who"), [(OWN, OWN), (None, "ada@tenant.example")])
async def test_the_identity_is_the_address_or_the_name_to_log_in_with(
    call: Any, api: respx.MockRouter, mail: str | None, who: str
) -> None:
    route = api.get("/me").respond(json={"mail": mail, "userPrincipalName": "ada@tenant.example"})
    assert microsoft.identify is not None
    assert await microsoft.identify(bound(call)) == who
    assert request_of(route).url.params["$select"] == "mail,userPrincipalName"


@pytest.mark.parametrize("tenant", ["common", "organizations", "contoso.onmicrosoft.com", "0" * 8 + "-aaaa"])
def test_a_tenant_fills_the_addresses(tenant: str) -> None:
    scheme: Any = microsoft.schemes[0]
    assert scheme.variables["tenant"].check("tenant", tenant) == tenant
    assert scheme.token_url.format(tenant=tenant) == f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"


@pytest.mark.parametrize("tenant", ["a/b", "a?b", "..", "a..b", "-a", "x@y", "a#", ""])
def test_a_tenant_leads_nowhere_else(tenant: str) -> None:
    scheme: Any = microsoft.schemes[0]
    with pytest.raises(ConfigurationError):
        scheme.variables["tenant"].check("tenant", tenant)


async def test_a_list_is_thrifty_and_is_followed_to_its_end(tool: Tool, api: respx.MockRouter) -> None:
    # Graph writes the folder in another way than it was asked for.
    link = f"{ROOT}/me/mailFolders('inbox')/messages?%24select=id&%24skip=15&%24count=true"
    route = api.get("/me/mailFolders/inbox/messages")
    route.side_effect = [
        httpx.Response(200, json={"value": [message("m1")], NEXT: link}),
        httpx.Response(200, json={"value": [message("m2", isRead=True, isDraft=True, hasAttachments=True)]}),
    ]
    page = await tool("search_messages")
    line = {
        "id": "m1",
        "date": "2026-11-22T11:00:00Z",
        "sender": "Grace <grace@away.example>",
        "subject": "Plans",
        "preview": "Shall we meet?",
        "unread": True,
    }
    assert page["items"] == [line]
    asked = request_of(route, 0)
    assert asked.headers["prefer"] == 'IdType="ImmutableId"'
    assert (asked.url.params["$orderby"], asked.url.params["$top"]) == ("receivedDateTime desc", "15")
    assert "body" not in asked.url.params["$select"].split(",")
    rest = await tool("search_messages", cursor=page["next_cursor"])
    assert (rest["items"][0]["draft"], rest["items"][0]["attachments"]) == (True, True)
    assert "unread" not in rest["items"][0]
    assert (request_of(route, 1).url.params["$skip"], request_of(route, 1).url.params["$count"]) == ("15", "true")
    assert "next_cursor" not in rest


@pytest.mark.parametrize("host", ["https://evil.example", "http://graph.microsoft.com"])
async def test_a_next_page_on_another_host_is_not_followed(tool: Tool, api: respx.MockRouter, host: str) -> None:
    api.get("/me/messages").respond(json={"value": [], NEXT: f"{host}/v1.0/me/messages?$skip=15"})
    assert (await failed(tool, "search_messages", folder="all")).code is Code.CONTRACT_CHANGED


async def test_a_provider_that_loops_is_stopped(tool: Tool, api: respx.MockRouter) -> None:
    link = f"{ROOT}/me/messages?$skip=15"
    api.get("/me/messages").respond(json={"value": [message("m1")], NEXT: link})
    page = await tool("search_messages", folder="all")
    error = await failed(tool, "search_messages", folder="all", cursor=page["next_cursor"])
    assert (error.code, "same page" in error.message) == (Code.CONTRACT_CHANGED, True)


async def test_a_grant_that_is_revoked_while_paging_ends_with_the_exact_login(
    tool: Tool, api: respx.MockRouter
) -> None:
    challenge = 'Bearer realm="", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="'
    api.get("/me/messages").side_effect = [
        httpx.Response(200, json={"value": [message("m1")], NEXT: f"{ROOT}/me/messages?$skip=15"}),
        httpx.Response(
            401, headers={"www-authenticate": challenge}, json={"error": {"code": "InvalidAuthenticationToken"}}
        ),
    ]
    page = await tool("search_messages", folder="all")
    error = await failed(tool, "search_messages", folder="all", cursor=page["next_cursor"])
    assert (error.code, error.outcome, error.retry) == (Code.AUTH_REVOKED, Outcome.NOT_APPLIED, Retry.AFTER_HUMAN)
    assert "clew auth login microsoft --account work" in error.next_step
    assert "eyJ" not in error.as_text()


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({"query": 'from:"Ada L" \\x'}, {"$search": '"from:\\"Ada L\\" \\\\x"'}),
        (
            {"unread": True},
            {
                "$filter": "receivedDateTime ge 1900-01-01T00:00:00Z and isRead eq false",
                "$orderby": "receivedDateTime desc",
            },
        ),
        (
            {"since": "2026-03-01T09:00:00+01:00"},
            {"$filter": "receivedDateTime ge 2026-03-01T08:00:00Z", "$orderby": "receivedDateTime desc"},
        ),
        ({"conversation_id": "it's"}, {"$filter": "conversationId eq 'it''s'"}),
    ],
)
async def test_a_search_or_a_filter_as_graph_takes_them(
    tool: Tool, api: respx.MockRouter, given: dict[str, Any], asked: dict[str, str]
) -> None:
    route = api.get("/me/messages").respond(json={"value": []})
    await tool("search_messages", folder="all", **given)
    params = dict(request_of(route).url.params)
    assert {name: params[name] for name in params if name in ("$search", "$filter", "$orderby")} == asked


@pytest.mark.parametrize(
    "given",
    [
        {"query": "x", "unread": True},
        {"query": "x", "since": "2026-03-01T09:00:00Z"},
        {"query": "x", "conversation_id": "c"},
        {"conversation_id": "c", "unread": True},
        {"since": "yesterday"},
        {"since": "2026-03-01T09:00:00"},
        {"changes": "new", "query": "x"},
        {"changes": "new", "folder": "all"},
        {"changes": "token", "since": "2026-03-01T09:00:00Z"},
        {"folder": " "},
    ],
)
async def test_what_cannot_be_asked_for_is_refused_before_anything_is_sent(
    tool: Tool, api: respx.MockRouter, given: dict[str, Any]
) -> None:
    error = await failed(tool, "search_messages", **given)
    assert (error.code, len(api.calls)) == (Code.INVALID_INPUT, 0)


async def test_a_folder_is_found_by_its_name_within_others(tool: Tool, api: respx.MockRouter) -> None:
    box = Box(folders={"Customers": "f1", "f1/It's": "f2", "f1/Other": "f3"}).mount(api)
    api.get("/me/mailFolders/f2/messages").respond(json={"value": []})
    with pytest.raises(CallError) as caught:
        await tool("search_messages", folder="Customers/Nobody")
    assert caught.value.fields == {"folder": "there are: It's, Other"}
    assert box.asked("GET")[-1] == "/me/mailFolders/f1/childFolders"


async def test_a_folder_of_this_name_is_listed_by_its_id(tool: Tool, api: respx.MockRouter) -> None:
    rows = {"value": [{"id": "AAMk=", "displayName": "Bills"}]}
    api.get("/me/mailFolders").respond(json=rows)
    route = api.get("/me/mailFolders/AAMk%3D/messages").respond(json={"value": []})
    await tool("search_messages", folder="Bills")
    assert route.call_count == 1


async def test_two_folders_of_one_name_are_not_guessed_between(tool: Tool, api: respx.MockRouter) -> None:
    rows = {"value": [{"id": "f1", "displayName": "Bills"}, {"id": "f2", "displayName": "Bills"}]}
    api.get("/me/mailFolders").respond(json=rows)
    error = await failed(tool, "search_messages", folder="Bills")
    assert (error.code, "several" in error.message) == (Code.INVALID_INPUT, True)


async def test_changes_go_round_by_round_and_the_token_comes_at_the_end(tool: Tool, api: respx.MockRouter) -> None:
    path = f"{ROOT}/me/mailFolders('inbox')/messages/delta"
    gone = {"@removed": {"reason": "deleted"}, "id": "m9"}
    route = api.get("/me/mailFolders/inbox/messages/delta")
    route.side_effect = [
        httpx.Response(200, json={"value": [message("m1")], NEXT: f"{path}?$skiptoken=s%2B1", DELTA: None}),
        httpx.Response(200, json={"value": [], DELTA: f"{path}?$deltatoken=d1"}),
        httpx.Response(200, json={"value": [gone], DELTA: f"{path}?%24deltatoken=d2"}),
    ]
    first = await tool("search_messages", changes="new", since="2026-11-01T00:00:00Z")
    assert (first["next_cursor"], "next_changes" in first) == ("s+1", False)
    asked = dict(request_of(route, 0).url.params)
    assert (asked["$filter"], "$select" in asked) == ("receivedDateTime ge 2026-11-01T00:00:00Z", True)
    assert "odata.maxpagesize=30" in request_of(route, 0).headers["prefer"]
    assert 'IdType="ImmutableId"' in request_of(route, 0).headers["prefer"]
    second = await tool("search_messages", changes="new", cursor=first["next_cursor"])
    assert dict(request_of(route, 1).url.params) == {"$skiptoken": "s+1"}
    third = await tool("search_messages", changes=second["next_changes"])
    assert dict(request_of(route, 2).url.params) == {"$deltatoken": "d1"}
    assert third == {"items": [{"id": "m9", "removed": "deleted"}], "next_changes": "d2"}


@pytest.mark.parametrize(
    "answer",
    [
        refused(410, "resyncRequired"),
        refused(410, "SyncStateNotFound"),
        refused(410, "somethingNew"),
        refused(400, "BadRequest", inner="syncStateInvalid"),
    ],
)
async def test_a_token_that_is_too_old_asks_for_a_new_beginning(
    tool: Tool, api: respx.MockRouter, answer: httpx.Response
) -> None:
    api.get("/me/mailFolders/inbox/messages/delta").mock(return_value=answer)
    error = await failed(tool, "search_messages", changes="old")
    assert (error.code, error.retry) == (Code.CONFLICT, Retry.AFTER_FIX)
    assert "changes=new" in error.next_step


@pytest.mark.parametrize("links", [{NEXT: f"{ROOT}/me/x?$skiptoken=same"}, {DELTA: f"{ROOT}/me/x?token=1"}])
async def test_a_round_that_stands_still_or_ends_without_a_token_is_stopped(
    tool: Tool, api: respx.MockRouter, links: dict[str, str]
) -> None:
    api.get("/me/mailFolders/inbox/messages/delta").respond(json={"value": [], **links})
    assert isinstance(await failed(tool, "search_messages", changes="new", cursor="same"), ContractChangedError)


async def test_a_message_has_its_text_and_names_what_is_attached(tool: Tool, api: respx.MockRouter) -> None:
    files = [
        {
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": "a.pdf",
            "contentType": "application/pdf",
            "size": 9,
        },
        {"name": "logo.png", "contentType": "image/png", "size": 1, "isInline": True},
    ]
    flagged = {"flag": {"flagStatus": "flagged"}, "categories": ["Red"], "ccRecipients": [somebody("c@x.example")]}
    route = api.get("/me/messages/m1").respond(json=message("m1", attachments=files, **flagged))
    assert await tool("get_message", message_id="m1") == {
        "id": "m1",
        "conversation_id": "c-m1",
        "message_id": "<m1@away.example>",
        "date": "2026-11-22T11:00:00Z",
        "sender": "Grace <grace@away.example>",
        "to": [OWN],
        "cc": ["c@x.example"],
        "subject": "Plans",
        "text": "Shall we\nmeet?",
        "attachments": [{"filename": "a.pdf", "content_type": "application/pdf", "size": 9}],
        "unread": True,
        "flagged": True,
        "categories": ["Red"],
    }
    request = request_of(route)
    assert request.headers["prefer"] == 'IdType="ImmutableId", outlook.body-content-type="text"'
    assert request.url.params["$expand"] == "attachments($select=id,name,contentType,size,isInline)"


async def test_html_is_read_as_words_and_long_texts_are_cut(tool: Tool, api: respx.MockRouter) -> None:
    page = {"contentType": "html", "content": f"<style>x</style><p>{'a' * 9000}</p>"}
    api.get("/me/messages/m1").respond(json=message("m1", body=page))
    found = await tool("get_message", message_id="m1")
    assert (len(found["text"]), found["text_length"]) == (8001, 9000)


async def test_a_draft_shows_who_is_outside_and_how_to_send_it(tool: Tool, api: respx.MockRouter) -> None:
    people = {"toRecipients": [somebody("b@home.example")], "bccRecipients": [somebody("eve@away.example")]}
    draft = message("d1", isDraft=True, **{"from": somebody(OWN)}, **people)
    api.get("/me/messages/d1").respond(json=draft)
    found = await tool("get_message", message_id="d1")
    assert (found["draft"], found["change_key"], found["outside"]) == (True, "ck-d1", ["eve@away.example"])


@pytest.mark.parametrize("shape", [{"from": None}, {"from": {"emailAddress": None}}, {"subject": None}, {"body": {}}])
async def test_a_message_that_lacks_things_is_still_one(
    tool: Tool, api: respx.MockRouter, shape: dict[str, Any]
) -> None:
    api.get("/me/messages/m1").respond(json={**message("m1"), **shape})
    assert (await tool("get_message", message_id="m1"))["id"] == "m1"


async def test_messages_are_changed_in_one_request_and_moved_in_another(tool: Tool, api: respx.MockRouter) -> None:
    box = Box({each: message(each) for each in ("m1", "m2")}, {"Done": "f1"}).mount(api)
    done = await tool("update_messages", message_ids=["m1", "m2", "m1"], read=True, flagged=False, move_to="Done")
    assert done == {"changed": ["m1", "m2"]}
    first, second = (json.loads(each.content)["requests"] for each in box.seen if each.url.path == "/v1.0/$batch")
    assert [(each["method"], each["url"]) for each in first] == [
        ("PATCH", "/me/messages/m1"),
        ("PATCH", "/me/messages/m2"),
    ]
    assert first[0]["body"] == {"isRead": True, "flag": {"flagStatus": "notFlagged"}}
    assert [(each["url"], each["body"]) for each in second] == [
        ("/me/messages/m1/move", {"DestinationId": "f1"}),
        ("/me/messages/m2/move", {"DestinationId": "f1"}),
    ]


async def test_what_could_not_be_changed_is_named(tool: Tool, api: respx.MockRouter) -> None:
    box = Box({each: message(each) for each in ("m1", "m2", "m3")}).mount(api)
    box.parts = {"POST m2": refused(429, "TooManyRequests"), "m3": refused(503, "serviceNotAvailable")}
    done = await tool(
        "update_messages", message_ids=["m1", "m2", "m3", "m4"], categories=["Red", "Red"], move_to="archive"
    )
    assert done == {
        "changed": ["m1"],
        "failed": [
            {"id": "m2", "code": "rate_limited"},
            {"id": "m3", "code": "transient"},
            {"id": "m4", "code": "not_found"},
        ],
    }
    assert box.body("/$batch")["requests"][0]["body"] == {"DestinationId": "archive"}


@pytest.mark.parametrize(
    ("answer", "code", "outcome"),
    [
        (refused(404, "ErrorItemNotFound"), Code.NOT_FOUND, Outcome.NOT_APPLIED),
        (refused(403, "ErrorAccessDenied"), Code.PERMISSION, Outcome.NOT_APPLIED),
        (refused(500, "ErrorInternalServerError"), Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN),
        (
            httpx.Response(429, headers={"Retry-After": "2.128"}, json={"error": {"code": "ApplicationThrottled"}}),
            Code.RATE_LIMITED,
            Outcome.NOT_APPLIED,
        ),
    ],
)
async def test_when_no_message_was_changed_the_call_fails(
    tool: Tool, api: respx.MockRouter, answer: httpx.Response, code: Code, outcome: Outcome
) -> None:
    Box({"m1": message("m1")}, parts={"m1": answer}).mount(api)
    error = await failed(tool, "update_messages", message_ids=["m1"], read=True)
    assert (error.code, error.outcome) == (code, outcome)
    assert error.retry_after == (2.128 if code is Code.RATE_LIMITED else None)


async def test_marked_and_not_moved_is_told_as_such(tool: Tool, api: respx.MockRouter) -> None:
    Box({"m1": message("m1")}, parts={"POST m1": refused(403, "ErrorAccessDenied")}).mount(api)
    done = await tool("update_messages", message_ids=["m1"], read=True, move_to="archive")
    assert done == {"changed": [], "failed": [{"id": "m1", "code": "permission"}]}


async def test_a_part_without_an_answer_is_unknown(tool: Tool, api: respx.MockRouter) -> None:
    api.post("/$batch").respond(json={"responses": [{"id": "1", "status": 200}]})
    done = await tool("update_messages", message_ids=["m1", "m2"], read=True)
    assert done == {"changed": ["m2"], "failed": [{"id": "m1", "code": "outcome_unknown"}]}


@pytest.mark.parametrize("given", [{}, {"move_to": "deleteditems", "read": True}, {"move_to": "Trash"}])
async def test_nothing_to_change_and_deleting_are_refused(tool: Tool, api: respx.MockRouter, given: Any) -> None:
    error = await failed(tool, "update_messages", message_ids=["m1"], **given)
    assert (error.code, len(api.calls)) == (Code.INVALID_INPUT, 0)


def test_a_batch_costs_what_its_parts_cost() -> None:
    (mailbox, at_once) = microsoft.declared.limits
    batch = httpx.Request("POST", f"{ROOT}/$batch", json={"requests": [{"id": "1"}, {"id": "2"}, {"id": "3"}]})
    assert (mailbox.charge(batch), at_once.amount) == (3.0, 4)
    assert mailbox.charge(httpx.Request("GET", f"{ROOT}/me/messages")) == 1.0
    assert all(mailbox.covers("GET", path) for path in ("/$batch", "/me/calendarView/delta", "/me/findMeetingTimes"))
    assert not mailbox.covers("GET", "/subscriptions/{}")


async def test_a_subscription_wants_immutable_ids_and_news_of_itself(call: Any, api: respx.MockRouter) -> None:
    answer = {"id": "s1", "expirationDateTime": "2091-01-01T00:00:00.0000000Z"}
    made = api.post("/subscriptions").respond(201, json=answer)
    way = microsoft.subscription
    assert way is not None
    assert way.renew is not None
    wish = Wish(
        url="https://here.example/webhooks/microsoft/ada", secret=Secret("s" * 43), where={"resource": "/me/messages"}
    )
    found = await way.create(bound(call, Effect.WRITE), wish)
    sent = json.loads(request_of(made).content)
    assert (found.id, found.active) == ("s1", True)
    assert (sent["clientState"], sent["resource"], sent["changeType"]) == (
        "s" * 43,
        "me/messages",
        "created,updated,deleted",
    )
    assert sent["lifecycleNotificationUrl"] == sent["notificationUrl"] == wish.url
    assert request_of(made).headers["prefer"] == 'IdType="ImmutableId"'
    api.get("/subscriptions/s1").respond(json=answer)
    again = api.post("/subscriptions/s1/reauthorize").respond(200)
    known = await way.check(bound(call, Effect.WRITE), "s1", {})
    assert (known and known.id, again.call_count) == ("s1", 1)
    renewed = api.patch("/subscriptions/s1").respond(json=answer)
    await way.renew(bound(call, Effect.WRITE), "s1", {})
    assert json.loads(request_of(renewed).content).keys() == {"expirationDateTime"}
    api.get("/subscriptions/s1").mock(return_value=refused(404, "ResourceNotFound"))
    assert await way.check(bound(call, Effect.WRITE), "s1", {}) is None


@pytest.mark.parametrize(
    "resource", ["users", "me/drive/root", "https://x.example/me/messages", "me/messages?$filter=x"]
)
async def test_only_mail_and_events_are_watched(call: Any, resource: str) -> None:
    way = microsoft.subscription
    assert way is not None
    wish = Wish(url="https://here.example", secret=Secret("x"), where={"resource": resource})
    with pytest.raises(ConfigurationError):
        await way.create(bound(call, Effect.WRITE), wish)


def told(*items: dict[str, Any], query: str = "") -> Delivery:
    body = {"value": [{"subscriptionId": "s1", "clientState": STATE, **each} for each in items]}
    return Delivery([], json.dumps(body).encode(), url=f"https://here.example/webhooks/microsoft/ada{query}")


STATE = "s" * 43
CHANGED = {"changeType": "updated", "resource": "Users/u/Messages/m1", "resourceData": {"id": "m1"}}


def test_a_notification_is_good_with_the_subscriptions_state_alone_and_says_what_changed() -> None:
    work = Connection("local", "microsoft", "work")
    event = verify(microsoft.webhook_schemes, told(CHANGED, {**CHANGED, "changeType": "deleted"}), [Secret(STATE)])
    assert isinstance(event, Event)
    assert microsoft.events is not None
    seen = microsoft.events.read(work, event)
    assert [(each.type, each.reference) for each in seen] == [("updated", "m1"), ("deleted", "m1")]
    for wrong in (told(CHANGED, {**CHANGED, "clientState": "x"}), told({**CHANGED, "clientState": None})):
        assert isinstance(verify(microsoft.webhook_schemes, wrong, [Secret(STATE)]), Refusal)


@pytest.mark.parametrize("what", ["missed", "subscriptionRemoved", "reauthorizationRequired"])
def test_news_of_the_subscription_itself_is_an_event_of_its_name(what: str) -> None:
    event = verify(
        microsoft.webhook_schemes, told({"lifecycleEvent": what, "resource": "me/messages"}), [Secret(STATE)]
    )
    assert isinstance(event, Event)
    assert microsoft.events is not None
    (seen,) = microsoft.events.read(Connection("local", "microsoft", "work"), event)
    assert (seen.type, seen.reference) == (what, "me/messages")


def test_the_validation_token_is_given_back_and_no_event() -> None:
    asked = told(query="?validationToken=Validation%3A%20Testing%20%3Cok%3E")
    said = answer(microsoft.webhook_schemes, asked, [])
    assert isinstance(said, Answer)
    assert (said.status, said.body, said.event) == (200, b"Validation: Testing <ok>", False)
    assert said.headers["content-type"].startswith("text/plain")
    assert answer(microsoft.webhook_schemes, told(CHANGED), [Secret(STATE)]) is None
