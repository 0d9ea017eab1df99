"""SendGrid: facts of v3. No codes: status, field and text; used-up credits look like a refused key.

Sources: sendgrid-python 6.12.5, airbyte-source-sendgrid 1.1.5, sendgrid/docs. Limits and the credits answer: (memory).
A 202 says that a message is queued. What became of it comes by event webhook, and is asked for where the account has
the Email Activity add-on.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from clew import Api, Bearer, Connector, ErrorMap, From, NumberPages, Page, Reset, Rule, errors, mail, once
from clew.connectors.webhooks.mail import SENDGRID

ERRORS = ErrorMap(
    message=("errors[0].message", "message", "error"),
    provider_code=("errors[0].error_id", "errors[0].field", "error"),
    request_id=("x-message-id", "x-request-id"),
    resets=(Reset(header="x-ratelimit-reset", unit="epoch_s", remaining="x-ratelimit-remaining"),),
    rules=(
        Rule(
            code="quota_exhausted",
            status=(400, 401, 402, 403, 429),
            text="maximum credits exceeded|credit limit|exceeded your messaging limits",
            message="the {provider} account has no credits left.",
        ),
        Rule(
            code="permission",
            status=403,
            text="verified Sender Identity",
            message="this sender is not verified at {provider}.",
            next_step="Ask the person to verify the sender's address or domain, or use another sender.",
        ),
        Rule(code="auth_revoked", status=401),
        Rule(code="permission", status=403),
        Rule(code="rate_limited", status=429, retry_after=10),
        Rule(code="invalid_input", status=(400, 405, 413)),
        Rule(code="accepted", status=202),
        # Queued or not: nobody knows, and a mail that is sent twice cannot be taken back.
        Rule(code="transient", status=(500, 502, 503, 504)),
    ),
)

sendgrid = Connector(
    "sendgrid",
    title="SendGrid",
    # EU: https://api.eu.sendgrid.com/v3, set by the operator.
    base_url="https://api.sendgrid.com/v3",
    auth=Bearer(help="https://app.sendgrid.com/settings/api_keys"),
    pages=NumberPages(parameter="offset", start=0, step="items", items=None, size_parameter="limit"),
    errors=ERRORS,
    webhooks=SENDGRID,
    docs="https://www.twilio.com/docs/sendgrid/api-reference",
)

Kind = Literal["bounces", "blocks", "invalid_emails", "spam_reports", "unsubscribes"]
Address = Annotated[str, Field(min_length=3, max_length=320)]
More = Annotated[list[Address] | None, Field(max_length=1000)]
FOLLOW_UP = (
    "Accepted is not delivered: bounces come minutes to days later. get_message_status with this message_id tells what "
    "became of it."
)
MARK = "clew"
"""The custom argument that a message's events repeat: by it they find the call that sent it."""
MESSAGE = r"(.+?)\.(?:filter|recvd)[A-Za-z0-9]*[.-]"
"""The id of the acceptance in the id that events have. https://www.twilio.com/docs/sendgrid (event webhook) (memory)"""


class Mail(BaseModel):
    """What would be sent."""

    sender: str
    to: list[str]
    cc: list[str] | None = None
    bcc: list[str] | None = None
    outside: Annotated[list[str], Field(description="Recipients who are not of the sender's own domain.")]
    subject: str | None = None
    text: str | None = None
    template_id: str | None = None


class Queued(BaseModel):
    """A message that SendGrid has taken. It is accepted, not delivered."""

    message_id: str


class Sighting(BaseModel):
    """A message at one recipient, as Email Activity has it."""

    message_id: Annotated[str, From("msg_id")]
    to: Annotated[str, From("to_email")]
    subject: str | None = None
    status: str
    last_event: Annotated[str | None, From("last_event_time")] = None


class Sightings(BaseModel):
    """One answer of /messages."""

    messages: list[Sighting]


class Standing(BaseModel):
    """Where a message stands at one recipient."""

    to: str
    state: Annotated[str, Field(description="accepted, deferred, delivered, bounced, suppressed or complained.")]
    last_event: str | None = None


class Status(BaseModel):
    """What became of a message, by recipient. `state` is the worst of them."""

    message_id: str
    state: str
    recipients: list[Standing]
    next: str


class Suppressed(BaseModel):
    """An address that SendGrid does not send to, since `created` (epoch seconds)."""

    email: str
    created: int | None = None
    reason: str | None = None
    status: str | None = None


class Template(BaseModel):
    """A template; `versions` are the subjects of its versions."""

    id: str
    name: str
    updated_at: str | None = None
    subjects: Annotated[list[str] | None, From("versions[*].subject")] = None


@sendgrid.identity
async def account(api: Api) -> str:
    """The address of the account. A key without the right to read it is not refused, only nameless."""
    return str(await api.get("/user/email", at="email"))


def _people(listed: list[str] | None, what: str) -> list[str]:
    return [mail.checked_address(each, what=f"{what} address") for each in listed or ()]


def _checked(given: Mapping[str, Any]) -> Mail:
    sender = mail.checked_address(given["sender"], what="the sender's address")
    to, cc, bcc = (_people(given[name], name) for name in ("to", "cc", "bcc"))
    if len({*to, *cc, *bcc}) < len(to) + len(cc) + len(bcc):
        raise errors.InvalidInputError("a recipient is named twice; SendGrid takes each once.")
    subject = mail.checked_line(given["subject"] or "", what="the subject")
    if not given["template_id"] and not (subject and given["text"]):
        raise errors.InvalidInputError("a message needs a subject and a text, or a template_id.")
    home = mail.domain_of(sender)
    return Mail(
        sender=sender,
        to=to,
        cc=cc or None,
        bcc=bcc or None,
        outside=[each for each in (*to, *cc, *bcc) if mail.domain_of(each) != home],
        subject=subject or None,
        text=given["text"],
        template_id=given["template_id"],
    )


Sender = Annotated[Address, Field(description="A sender that is verified at SendGrid.")]
People = Annotated[list[Address], Field(min_length=1, max_length=1000, description="Plain addresses.")]
Text = Annotated[str | None, Field(max_length=200_000, description="Plain text.")]
TemplateId = Annotated[str | None, Field(max_length=100, description="Of list_templates, instead of a text.")]
Filling = Annotated[dict[str, Any] | None, Field(description="Values for the template.")]


@sendgrid.read(toolset="sending")
async def preview_email(
    api: Api,
    sender: Sender,
    to: People,
    *,
    subject: Annotated[str | None, Field(max_length=900)] = None,
    text: Text = None,
    template_id: TemplateId = None,
    template_data: Filling = None,
    cc: More = None,
    bcc: More = None,
) -> Mail:
    """Show what send_email would send, and who of the recipients is outside. Nothing is sent."""
    return _checked(locals())


async def find_sent(api: Api, marker: str) -> Queued:
    """The message with our mark, in Email Activity. That it is not there yet proves nothing (`TransientError`).

    The filter is that of docs.sendgrid.com, "Filter by unique arguments": (memory).
    """
    query: dict[str, str | int] = {"query": f"unique_args['{MARK}'] = \"{marker}\"", "limit": 1}
    found = (await api.get("/messages", query=query, into=Sightings)).messages
    if not found:
        raise errors.TransientError("Email Activity does not know the message yet; it may still be on its way.")
    whole = found[0].message_id
    named = re.match(MESSAGE, whole)
    return Queued(message_id=named[1] if named else whole)


@sendgrid.write(toolset="sending", once=once.Marker(field=f"custom_args.{MARK}"), verify=once.Look(find_sent, tries=1))
async def send_email(
    api: Api,
    sender: Sender,
    to: People,
    *,
    subject: Annotated[str | None, Field(max_length=900)] = None,
    text: Text = None,
    html: Annotated[str | None, Field(max_length=400_000)] = None,
    template_id: TemplateId = None,
    template_data: Filling = None,
    cc: More = None,
    bcc: More = None,
) -> Queued:
    """Send an e-mail. It cannot be taken back. Accepted is not delivered: see get_message_status."""
    given = _checked(locals())
    people = {"to": given.to, "cc": given.cc, "bcc": given.bcc}
    whom: dict[str, Any] = {name: [{"email": each} for each in listed] for name, listed in people.items() if listed}
    if template_data:
        whom["dynamic_template_data"] = template_data
    parts = [("text/plain", given.text), ("text/html", html)]
    content = [{"type": kind, "value": value} for kind, value in parts if value]
    body: dict[str, Any] = {
        "personalizations": [whom],
        "from": {"email": given.sender},
        "subject": given.subject,
        "content": content,
        "template_id": template_id,
    }
    sent = await api.request("POST", "/mail/send", json={name: value for name, value in body.items() if value})
    message_id = sent.headers.get("x-message-id", "")
    if not message_id:
        raise errors.ContractChangedError(
            "sendgrid took the message and did not say under which id.", outcome=errors.Outcome.APPLIED
        )
    api.accepted(FOLLOW_UP, reference=message_id)
    return Queued(message_id=message_id)


@sendgrid.asks_when(send_email, preview=preview_email)
def always(arguments: Mapping[str, Any]) -> bool:
    """Mail cannot be taken back: every message is shown to a person first."""
    return True


STATES: Mapping[str, mail.State] = {
    "processed": mail.State.ACCEPTED,
    "processing": mail.State.ACCEPTED,
    "deferred": mail.State.DEFERRED,
    "delivered": mail.State.DELIVERED,
    "open": mail.State.DELIVERED,
    "click": mail.State.DELIVERED,
    "dropped": mail.State.SUPPRESSED,
    "bounce": mail.State.BOUNCED,
    "blocked": mail.State.BOUNCED,
    "not_delivered": mail.State.BOUNCED,
    "spamreport": mail.State.COMPLAINED,
    "unsubscribe": mail.State.COMPLAINED,
    "group_unsubscribe": mail.State.COMPLAINED,
}
"""What the words of events and of Email Activity say of a message."""

_CLASSES: Mapping[str, mail.Cause] = {
    "invalid address": mail.Cause.HARD,
    "mailbox unavailable": mail.Cause.FULL,
    "reputation": mail.Cause.SPAM,
    "content": mail.Cause.CONTENT,
    "technical": mail.Cause.SOFT,
    "frequency/volume": mail.Cause.SOFT,
}


def outcome_of(event: Mapping[str, Any]) -> mail.Recipient | None:
    """What one event of the event webhook says of a message at one recipient; `None` for events about nothing of it.

    A `bounce` whose `type` is `blocked` leaves the address good: the message or its sender was not welcome.
    """
    state, address = STATES.get(str(event.get("event"))), str(event.get("email") or "")
    if state is None or not address:
        return None
    why = str(event.get("reason") or event.get("response") or "")
    if state not in (mail.State.BOUNCED, mail.State.DEFERRED, mail.State.SUPPRESSED):
        return mail.Recipient(address, state)
    found = mail.judge_status(why, status=str(event.get("status") or ""))
    cause = _CLASSES.get(str(event.get("bounce_classification")).lower(), found.cause)
    if cause is mail.Cause.HARD and (event.get("type") == "blocked" or state is mail.State.DEFERRED):
        cause = mail.Cause.POLICY if state is mail.State.BOUNCED else mail.Cause.SOFT
    return mail.Recipient(address, state, cause, found.status, why[:300])


def belongs_to(event: Mapping[str, Any], message_id: str) -> bool:
    """Is an event about the message that was accepted under this id? Its own id begins with that one."""
    own = str(event.get("sg_message_id") or "")
    return bool(message_id) and (own == message_id or own.startswith(f"{message_id}."))


@sendgrid.read(toolset="outcomes")
async def get_message_status(
    api: Api, message_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{5,100}$", description="As send_email gave it.")]
) -> Status:
    """Find out what became of a message. Needs SendGrid's Email Activity add-on."""
    query: dict[str, str | int] = {"query": f'msg_id LIKE "{message_id}%"', "limit": 50}
    found = (await api.get("/messages", query=query, into=Sightings)).messages
    people = [_standing(each) for each in found if each.message_id.startswith(message_id)]
    if not people:
        raise errors.NotFoundError(
            "Email Activity does not know this message yet.",
            next_step="Ask again in a few minutes. Do not send the message again because of this.",
        )
    state = mail.latest(mail.State(each.state) for each in people)
    hopeless = state in (mail.State.BOUNCED, mail.State.SUPPRESSED, mail.State.COMPLAINED)
    told = "list_suppressions says why, and whether the address is blocked now." if hopeless else FOLLOW_UP
    return Status(message_id=message_id, state=state.value, recipients=people, next=told)


def _standing(seen: Sighting) -> Standing:
    state = STATES.get(seen.status)
    if state is None:
        raise errors.ContractChangedError(
            f"sendgrid names a state that this connector does not know: {seen.status!r:.40}."
        )
    return Standing(to=seen.to, state=state.value, last_event=seen.last_event)


@sendgrid.read(toolset="suppressions")
async def list_suppressions(
    api: Api,
    kind: Kind,
    *,
    since: Annotated[datetime | None, Field(description="ISO time.")] = None,
    cursor: Annotated[str | None, Field(description="next_cursor of the previous page.")] = None,
) -> Page[Suppressed]:
    """List addresses that SendGrid does not send to, and why."""
    start = None if since is None else int((since if since.tzinfo else since.replace(tzinfo=UTC)).timestamp())
    query = {"limit": 50, "start_time": start}
    return await api.page("/suppression/{}", kind, query=query, cursor=cursor, into=Suppressed)


@sendgrid.read(toolset="suppressions")
async def get_suppression(api: Api, kind: Kind, email: Address) -> list[Suppressed]:
    """Read why an address is not sent to."""
    address = mail.checked_address(email)
    if kind == "unsubscribes":
        found = await api.get("/asm/suppressions/global/{}", address, into=dict[str, Any])
        return [Suppressed(email=address)] if found.get("recipient_email") else []
    return await api.get("/suppression/{}/{}", kind, address, into=list[Suppressed])


@sendgrid.write(toolset="suppressions", once=once.NaturalKey(done=("already_done", "not_found")))
async def remove_suppression(api: Api, kind: Kind, email: Address) -> None:
    """Let SendGrid send to an address again. Whoever complained or unsubscribed must have agreed to it."""
    address = mail.checked_address(email)
    if kind == "unsubscribes":
        await api.delete("/asm/suppressions/global/{}", address)
    else:
        await api.delete("/suppression/{}/{}", kind, address)


sendgrid.asks_when(remove_suppression, preview=get_suppression)(always)


class Templates(BaseModel):
    """One answer of /templates."""

    items: Annotated[list[Template], From("result", "templates")]


@sendgrid.read(toolset="templates")
async def list_templates(api: Api) -> list[Template]:
    """List the dynamic templates, at most 50."""
    query: dict[str, str | int] = {"generations": "dynamic", "page_size": 50}
    return (await api.get("/templates", query=query, into=Templates)).items
