"""Salesforce: records of any object of an organization, its own description of them, notes and tasks (REST).

`provider` holds the facts, `rules` the errors, `soql` how values get into a query; the others are one toolset each.
"""

from . import activities, changes, objects, records
from .provider import salesforce

__all__ = ["activities", "changes", "objects", "records", "salesforce"]
