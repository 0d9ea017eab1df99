"""Contacts and companies. A contact is one per e-mail address: HubSpot refuses a second one and names the first."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from clew import Api, errors, mail, once

from .provider import COMPANIES_READ, CONTACTS_READ, CONTACTS_WRITE, hubspot
from .records import (
    Cursor,
    Expected,
    Further,
    Hits,
    Id,
    MaybeId,
    Query,
    Raw,
    Record,
    Show,
    Sort,
    Where,
    change,
    given,
    link,
    names_of,
    record_of,
    search,
)

CONTACTS, CONTACT = "/crm/objects/2026-09/contacts", "/crm/objects/2026-09/contacts/{}"
COMPANY_OF_CONTACT = 279
"""Association types: https://developers.hubspot.com/docs/api-reference/latest/crm/associations/overview"""
SKEW = 300.0

Line = Annotated[str | None, Field(max_length=500)]


class ContactLine(Record):
    """A contact in a search."""

    email: str | None = None
    firstname: str | None = None
    lastname: str | None = None
    company: str | None = None
    lifecyclestage: str | None = None
    hubspot_owner_id: str | None = None


class Contact(ContactLine):
    """A contact; `companies` and `deals` are ids of what it is associated with."""

    url: str | None = None
    phone: str | None = None
    jobtitle: str | None = None
    hs_lead_status: str | None = None
    created_at: str | None = None
    archived_at: Annotated[str | None, Field(description="Present: archived. A person can restore it.")] = None
    companies: list[str] | None = None
    deals: list[str] | None = None


class CompanyLine(Record):
    """A company in a search."""

    url: str | None = None
    name: str | None = None
    domain: str | None = None
    city: str | None = None
    industry: str | None = None
    lifecyclestage: str | None = None
    hubspot_owner_id: str | None = None


class Archival(BaseModel):
    """What archiving a contact takes out of sight."""

    id: str
    email: str | None = None
    name: str | None = None
    lifecyclestage: str | None = None
    companies: list[str] | None = None
    deals: Annotated[list[str] | None, Field(description="They stay, without this contact.")] = None
    effect: str


@hubspot.read(toolset="contacts", scopes=[CONTACTS_READ])
async def search_contacts(
    api: Api, query: Query = None, *, where: Where = None, sort: Sort = None, show: Show = None, cursor: Cursor = None
) -> Hits[ContactLine]:
    """Search contacts. Lags writes by seconds, so check those with get_contact; shows at most 10 000."""
    path = "/crm/objects/2026-09/contacts/search"
    return await search(api, path, ContactLine, query=query, where=where, sort=sort, show=show, cursor=cursor)


@hubspot.read(toolset="contacts", scopes=[CONTACTS_READ])
async def get_contact(
    api: Api,
    contact: Annotated[str, Field(min_length=1, max_length=320, description="Id or e-mail.")],
    show: Show = None,
) -> Contact:
    """Read one contact, also an archived one by its id."""
    asked = {"properties": ",".join(names_of(Contact, show)), "associations": "companies,deals"}
    if "@" in contact:
        address = mail.checked_address(contact, what="contact")
        raw = await api.get(CONTACT, address, query={**asked, "idProperty": "email"}, into=Raw)
        return record_of(Contact, raw, show)
    if not contact.isascii() or not contact.isdigit():
        raise errors.InvalidInputError(
            "a contact is read by its id or its e-mail address.", next_step="Find it by its name with search_contacts."
        )
    try:
        raw = await api.get(CONTACT, contact, query=asked, into=Raw)
    except errors.NotFoundError:
        raw = await api.get(CONTACT, contact, query={**asked, "archived": True}, into=Raw)
    return record_of(Contact, raw, show)


@hubspot.read(toolset="companies", scopes=[COMPANIES_READ])
async def search_companies(
    api: Api, query: Query = None, *, where: Where = None, sort: Sort = None, show: Show = None, cursor: Cursor = None
) -> Hits[CompanyLine]:
    """Search companies. Lags writes by seconds; shows at most 10 000."""
    path = "/crm/objects/2026-09/companies/search"
    return await search(api, path, CompanyLine, query=query, where=where, sort=sort, show=show, cursor=cursor)


async def _made(api: Api, email: str, sent_at: float | None, firstname: str | None = None) -> Contact | None:
    """The contact of the address, if it was made since; one that was there before is not ours."""
    try:
        found = await get_contact(api, email)
    except errors.NotFoundError:
        return None
    since = datetime.fromisoformat(found.created_at).timestamp() if found.created_at else 0.0
    return found if since >= (sent_at or 0.0) - SKEW and found.firstname == (firstname or None) else None


# An e-mail address is there once, so a repeat makes no second contact. It is looked up all the same: that the address
# is taken would not say by whom.
@hubspot.write(toolset="contacts", scopes=[CONTACTS_WRITE], verify=once.Look(_made, after=2.0, tries=2, every=3.0))
async def create_contact(
    api: Api,
    email: Annotated[str, Field(min_length=3, max_length=320)],
    *,
    firstname: Line = None,
    lastname: Line = None,
    phone: Line = None,
    company: Annotated[str | None, Field(max_length=500, description="Its name, as text.")] = None,
    jobtitle: Line = None,
    company_id: Annotated[MaybeId, Field(description="Company to associate with.")] = None,
    properties: Further = None,
) -> Contact:
    """Create a contact. One that exists already is not changed: update_contact does that."""
    address = mail.checked_address(email, what="email")
    own = {"firstname": firstname, "lastname": lastname, "phone": phone, "company": company, "jobtitle": jobtitle}
    body = {"properties": given(properties, email=address, **own), "associations": link(company_id, COMPANY_OF_CONTACT)}
    raw = await api.post(CONTACTS, json=body, into=Raw)
    api.reference(raw.id)
    return record_of(Contact, raw)


@hubspot.write(toolset="contacts", scopes=[CONTACTS_WRITE, CONTACTS_READ], once=once.NaturalKey())
async def update_contact(
    api: Api,
    contact_id: Id,
    *,
    email: Annotated[str | None, Field(max_length=320)] = None,
    firstname: Line = None,
    lastname: Line = None,
    phone: Line = None,
    lifecyclestage: Annotated[
        str | None, Field(max_length=100, description="lead, customer, …; never goes back.")
    ] = None,
    hubspot_owner_id: MaybeId = None,
    properties: Annotated[Further, Field(description="Further properties by internal name; '' empties one.")] = None,
    expected: Expected = None,
) -> Contact:
    """Change a contact. What is not given stays; other people's changes are overwritten unless expected is given."""
    own = {"email": email, "firstname": firstname, "lastname": lastname, "phone": phone}
    wanted = given(properties, **own, lifecyclestage=lifecyclestage, hubspot_owner_id=hubspot_owner_id)
    if email is not None:
        wanted["email"] = mail.checked_address(email, what="email")
    return await change(api, CONTACT, contact_id, Contact, wanted=wanted, expected=expected)


@hubspot.read(toolset="contacts", scopes=[CONTACTS_READ])
async def preview_archival(api: Api, contact_id: Id) -> Archival:
    """Show what archive_contact would archive; archives nothing."""
    found = await get_contact(api, contact_id)
    if found.archived_at:
        raise errors.AlreadyDoneError("the contact is archived already.")
    return Archival(
        id=found.id,
        email=found.email,
        name=" ".join(filter(None, (found.firstname, found.lastname))) or None,
        lifecyclestage=found.lifecyclestage,
        companies=found.companies,
        deals=found.deals,
        effect="Out of all lists and workflows; a person can restore it in HubSpot for 90 days.",
    )


@hubspot.destructive(
    preview=preview_archival,
    toolset="contacts",
    scopes=[CONTACTS_WRITE],
    once=once.NaturalKey(done=("already_done", "not_found")),
)
async def archive_contact(api: Api, contact_id: Id) -> None:
    """Archive a contact. It leaves lists and workflows; a person can restore it for 90 days."""
    await api.delete(CONTACT, contact_id)
