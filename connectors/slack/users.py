"""People and bots of the workspace."""

from typing import Annotated

from pydantic import BaseModel, Field

from clew import Api, From, Page

from .channels import Flag
from .provider import Cursor, Following, Nonempty, advancing, slack

SIZE = 60


class UserLine(BaseModel):
    """A user in a list."""

    id: str
    name: str
    real_name: Annotated[str | None, From("profile.real_name", "real_name"), Nonempty] = None
    is_bot: Flag = None
    deleted: Flag = None


class User(BaseModel):
    """One user. `email` is there when the app may see it (users:read.email)."""

    id: str
    name: str
    real_name: Annotated[str | None, From("profile.real_name", "real_name"), Nonempty] = None
    display_name: Annotated[str | None, From("profile.display_name"), Nonempty] = None
    title: Annotated[str | None, From("profile.title"), Nonempty] = None
    email: Annotated[str | None, From("profile.email"), Nonempty] = None
    status: Annotated[str | None, From("profile.status_text"), Nonempty] = None
    tz: str | None = None
    is_admin: Flag = None
    is_bot: Flag = None
    deleted: Flag = None


class Listed(BaseModel):
    """One answer of users.list."""

    items: Annotated[list[UserLine], From("members")]
    next_cursor: Following = None


@slack.read(toolset="users")
async def get_user(
    api: Api, user: Annotated[str, Field(min_length=1, max_length=100, description="User id: U… or W….")]
) -> User:
    """Read one user's profile."""
    return await api.post("/users.info", form={"user": user}, at="user", into=User)


@slack.read(toolset="users")
async def list_users(api: Api, cursor: Cursor = None) -> Page[UserLine]:
    """List the workspace's users with their ids, deleted ones included."""
    found = await api.post("/users.list", form={"limit": SIZE, "cursor": cursor}, into=Listed)
    return Page[UserLine](items=found.items, next_cursor=advancing(found.next_cursor, cursor))
