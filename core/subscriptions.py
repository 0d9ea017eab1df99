"""Asking a provider to deliver events here, and keeping it so: what an author declares."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from clew.core.secret import Secret
from clew.core.values import dataclass

if TYPE_CHECKING:
    from clew.core.api import Api


OPTIONAL = "optional"
"""How the sentence about something begins that an operator may leave out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an operator asks for: the address, our choice of a secret, the types (none: the usual ones), and where.

    `where` has what the provider wants to know besides, such as a repository.
    """

    url: str
    secret: Secret
    types: Sequence[str] = ()
    where: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """A subscription as the provider has it. `secret` is there when the provider chose one; `ends_at` is in seconds
    since 1970, None when it has no end; `active` is false when the provider has stopped delivering, `why` in its words.
    """

    id: str
    secret: Secret | None = None
    ends_at: float | None = None
    active: bool = True
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a look found of a write where nobody delivers events: its `reference`, and what became of it at one
    `recipient`. `id` is the same at every look; `detail` is kept for people."""

    id: str
    reference: str
    state: str
    recipient: str = ""
    detail: Mapping[str, str] = field(default_factory=dict[str, str])


Watch = Callable[["Api", Sequence[str]], Awaitable[Sequence[Sighting]]]
"""Looks for what became of the writes with these references."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """How one provider's webhooks are registered. `where` names what `create` must be told (`repository`), with a
    sentence each, which begins with "optional" where it may be missing. `check` answers None when the subscription is
    gone. Without `renew` an ended one is made anew."""

    create: "Callable[[Api, Wish], Awaitable[Subscribed]]"
    check: "Callable[[Api, str, Mapping[str, str]], Awaitable[Subscribed | None]]"
    remove: "Callable[[Api, str, Mapping[str, str]], Awaitable[None]]"
    renew: "Callable[[Api, str, Mapping[str, str]], Awaitable[Subscribed]] | None" = None
    where: Mapping[str, str] = field(default_factory=dict[str, str])
