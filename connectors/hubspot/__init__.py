"""HubSpot: contacts, companies and deals of a CRM, with the notes and tasks on them.

`provider` holds the facts, `rules` the errors and `records` what all objects share; the others are one toolset each.
"""

from . import activities, contacts, deals, hooks
from .provider import hubspot

__all__ = ["activities", "contacts", "deals", "hooks", "hubspot"]
