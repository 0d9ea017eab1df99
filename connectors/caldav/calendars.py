"""Finding the calendars of an account: from the server's name to the principal, to its home, to what is in it."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field

from clew import Api, errors

from .dav import NOTHING, Member, checked, propfind
from .ical import address
from .provider import caldav

HOMES = 5
_WRITES = frozenset({"write", "write-content", "bind", "all"})


@dataclass(frozen=True, slots=True)
class Principal:
    """The calendar user: where it is, its name, its addresses (lower case), and the collections of its calendars."""

    path: str
    name: str | None
    addresses: tuple[str, ...]
    homes: tuple[str, ...]


class Calendar(BaseModel):
    """A calendar that the account can see."""

    id: str
    name: str | None = None
    writable: Annotated[bool | None, Field(description="Absent: the server does not say.")] = None
    color: str | None = None


class Calendars(BaseModel):
    """The calendars of the account."""

    items: list[Calendar]


async def find_principal(api: Api) -> Principal:
    """The principal of these credentials (RFC 6764, 6; RFC 5397; RFC 4791, 6.2.1). Raises `CallError`."""
    try:
        found = await propfind(api, "/.well-known/caldav", "D:current-user-principal")
    except (errors.AgentError, errors.PermissionDeniedError, errors.ContractChangedError):
        found = []  # no such place, a redirect to elsewhere, or a page: the root may still say
    path = _named(found)
    if path is None:
        path = _named(await propfind(api, "/", "D:current-user-principal"))
    if path is None:
        raise errors.NotFoundError(
            "the server does not say who this account is, so its calendars cannot be found.",
            next_step="Ask the person to check the server: clew auth set caldav --set server=HOST",
        )
    wanted = ("C:calendar-home-set", "C:calendar-user-address-set", "D:displayname")
    (who, *_) = await propfind(api, checked(path), *wanted) or [Member(path, "", "", 404, {})]
    mails = [each for each in who.properties.get("calendar-user-address-set", NOTHING).hrefs if "@" in each]
    homes = who.properties.get("calendar-home-set", NOTHING).hrefs
    return Principal(path, who.text("displayname"), tuple(dict.fromkeys(address(each) for each in mails)), homes)


def _named(found: list[Member]) -> str | None:
    hrefs = (href for each in found for href in each.properties.get("current-user-principal", NOTHING).hrefs)
    return next(hrefs, None)


@caldav.read(toolset="events")
async def list_calendars(api: Api) -> Calendars:
    """List the account's calendars that hold events."""
    return Calendars(items=await calendars_of(api, await find_principal(api)))


async def calendars_of(api: Api, person: Principal) -> list[Calendar]:
    """The calendars in the homes of a principal."""
    wanted = (
        "D:resourcetype",
        "D:displayname",
        "D:current-user-privilege-set",
        "C:supported-calendar-component-set",
        'X:calendar-color xmlns:X="http://apple.com/ns/ical/"',
    )
    found: dict[str, Calendar] = {}
    for home in person.homes[:HOMES]:
        for member in await propfind(api, checked(_collection(home)), *wanted, depth=1):
            kinds = member.properties.get("resourcetype", NOTHING).names
            held = member.properties.get("supported-calendar-component-set", NOTHING).components
            if "calendar" not in kinds or (held and "VEVENT" not in held) or member.host or member.status >= 300:
                continue
            rights = member.properties.get("current-user-privilege-set")
            path = _collection(member.path)
            found[path] = Calendar(
                id=path,
                name=member.text("displayname"),
                writable=None if rights is None else not _WRITES.isdisjoint(rights.names),
                color=member.text("calendar-color"),
            )
    return list(found.values())


def _collection(path: str) -> str:
    return path if path.endswith("/") else f"{path}/"
