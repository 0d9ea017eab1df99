"""The people who write tickets, and those who answer them."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from clew import Api, NumberPages, Page

from .provider import USERS_READ, Cursor, zendesk

PEOPLE = NumberPages(items="users", size=20)
Told = Annotated[bool | None, BeforeValidator(lambda value: value or None)]


class User(BaseModel):
    """A customer (end-user), an agent or an administrator."""

    id: int
    name: str | None = None
    email: str | None = None
    role: str | None = None
    phone: str | None = None
    organization_id: int | None = None
    suspended: Annotated[Told, Field(description="What they write goes to the suspended tickets.")] = None
    external_id: str | None = None


# https://developer.zendesk.com/api-reference/ticketing/users/users (search users)
@zendesk.read(toolset="people", scopes=[USERS_READ])
async def search_users(
    api: Api,
    query: Annotated[
        str, Field(min_length=1, max_length=300, description="Part of a name, an address, or role:agent, phone:…")
    ],
    cursor: Cursor = None,
) -> Page[User]:
    """Search customers and agents. Whoever was made minutes ago may be missing."""
    return await api.page("/users/search", into=User, query={"query": query}, pages=PEOPLE, cursor=cursor)
