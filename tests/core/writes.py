"""Shared by the tests of writes: a sealer of their own, a connector with every strategy, and calls through the walk."""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import BaseModel

from clew.core import once
from clew.core.api import Api
from clew.core.audit import Record
from clew.core.call import Call, Walk
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.connector import Connector
from clew.core.consent import Consent
from clew.core.deadline import Deadline
from clew.core.errors import ActionRequiredError, InternalError
from clew.core.host import Host, SilentHost
from clew.core.journal import Journal
from clew.core.outcomes import ErrorMap, Rule
from clew.core.wire import Wire

CONNECTION = Connection(LOCAL_TENANT, "notes", "work")


class PaddedSealer:
    """Binds content to its label and hides it from a search, which is all that these tests need of a seal."""

    async def seal(self, data: bytes, *, tenant: str, label: str) -> bytes:
        return self._tag(tenant, label) + bytes(each ^ 0x5A for each in data)

    async def open(self, sealed: bytes, *, tenant: str, label: str) -> bytes:
        if sealed[:32] != self._tag(tenant, label):
            raise InternalError("this was altered in the database.")
        return bytes(each ^ 0x5A for each in sealed[32:])

    @staticmethod
    def _tag(tenant: str, label: str) -> bytes:
        return hashlib.sha256(f"{tenant}/{label}".encode()).digest()


class Note(BaseModel):
    id: int
    text: str | None = None


def make_connector() -> Connector:
    """One write tool per strategy, all with quick looks."""
    notes = Connector(
        "notes",
        "https://api.notes.example",
        errors=ErrorMap(
            provider_code=("code",),
            message=("message",),
            rules=(
                Rule(code="already_done", status=409, body={"code": "done"}),
                Rule(code="action_required", status=402, message="{provider} wants a person to confirm."),
            ),
        ),
    )

    @notes.read(toolset="notes")
    async def find_note(api: Api, text: str) -> Note | None:
        """Find a note by its text."""
        found = await api.get("/notes", query={"text": text})
        return Note(**found[0]) if found else None

    async def find_marked(api: Api, marker: str) -> Note | None:
        found = await api.get("/notes", query={"marker": marker})
        return Note(**found[0]) if found else None

    async def find_sent(api: Api, reference: str) -> Note | None:
        found = await api.get("/drafts/{}", reference)
        return Note(**found) if found.get("sent") else None

    look = once.Look(find_note, after=0.0, tries=2, every=0.01)
    key = once.ProviderKey(header="Idempotency-Key", replayed="Idempotent-Replayed", doubtful=("key_in_use",))

    @notes.write(once=key, toolset="notes")
    async def add_keyed(api: Api, text: str) -> Note:
        """Add a note under a key."""
        return await api.post("/notes", json={"text": text}, into=Note)

    @notes.write(once=once.ProviderKey(field="meta.key", ttl=None))
    async def add_field(api: Api, text: str) -> Note:
        """Add a note under a key in the body."""
        return await api.post("/notes", json={"text": text}, into=Note)

    @notes.write(once=once.NaturalKey(field="id"))
    async def add_chosen(api: Api, text: str) -> dict[str, Any]:
        """Add a note under an id of ours."""
        found: dict[str, Any] = await api.post("/notes", json={"text": text})
        return found

    @notes.write(once=once.Guarded(), verify=look)
    async def change_note(api: Api, text: str, etag: str) -> Note:
        """Change a note."""
        return await api.put("/notes/1", headers={"If-Match": etag}, json={"text": text}, into=Note)

    @notes.write(once=once.Marker(field="text", text=" [{marker}]"), verify=once.Look(find_marked, 0.0, 2, 0.01))
    async def add_marked(api: Api, text: str) -> Note:
        """Add a note with a mark."""
        return await api.post("/notes", json={"text": text}, into=Note)

    @notes.write(verify=look)
    async def add_looked(api: Api, text: str) -> Note:
        """Add a note that can be found."""
        return await api.post("/notes", json={"text": text}, into=Note)

    @notes.write(toolset="notes")
    async def add_plain(api: Api, text: str) -> Note:
        """Add a note."""
        return await api.post("/notes", json={"text": text}, into=Note)

    @notes.destructive(preview=find_note, once=once.NaturalKey(done=("already_done", "not_found")))
    async def delete_note(api: Api, text: str) -> None:
        """Delete a note."""
        await api.delete("/notes/{}", text)

    @notes.destructive(preview=find_note, verify=look)
    async def erase_note(api: Api, text: str) -> Note:
        """Erase a note, in a way that can be seen."""
        return await api.post("/erasures", json={"text": text}, into=Note)

    @notes.write(once=once.Draft(), verify=once.Look(find_sent, 0.0, 2, 0.01))
    async def send_draft(api: Api, text: str) -> Note:
        """Make a draft and send it."""
        draft = await api.post("/drafts", json={"text": text}, safe=True, into=Note)
        api.reference(str(draft.id))
        return await api.post("/drafts/{}/send", draft.id, into=Note)

    @notes.write
    async def add_accepted(api: Api, text: str) -> Note:
        """Add a note that is not there yet."""
        note = await api.post("/notes", json={"text": text}, into=Note)
        api.accepted("call find_note in a minute", reference=f"note-{note.id}")
        return note

    @notes.write
    async def add_confirmed(api: Api, text: str) -> Note:
        """Add a note that a person must confirm."""
        note = await api.post("/notes", json={"text": text}, into=Note)
        api.reference(f"note-{note.id}")
        raise ActionRequiredError("confirm it.", url="https://notes.example/confirm")

    @notes.write
    async def add_broken(api: Api, text: str) -> Note:
        """Add a note and meet a bug."""
        await api.post("/notes", json={"text": text})
        raise KeyError(text)

    @notes.write(once=key)
    async def read_then_add(api: Api, text: str) -> Note | None:
        """Look first, and do nothing when the note is there."""
        found = await api.get("/notes", query={"text": text})
        return None if found else await api.post("/notes", json={"text": text}, into=Note)

    @notes.write
    async def add_both(api: Api, text: str) -> None:
        """Add two notes at once."""
        async with asyncio.TaskGroup() as group:
            for number in range(2):
                group.create_task(api.post("/notes", json={"text": f"{text}{number}"}))

    return notes


class Writer:
    """Calls of a connector's tools, with a journal."""

    def __init__(self, client: httpx.AsyncClient, journal: Journal | None, connector: Connector) -> None:
        self.client = client
        self.journal = journal
        self.connector = connector
        self.records: list[Record] = []

    async def call(
        self,
        url: str,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        host: Host | None = None,
        seconds: float = 10.0,
        connection: Connection = CONNECTION,
        consenting: Consent | None = None,
    ) -> dict[str, Any]:
        walk = Walk(sink=self.records.append, journal=self.journal, consenting=consenting)
        wire = Wire(self.connector, connection, None, self.client, base_url=url)
        made = Call(
            self.connector.tools[tool], arguments, connection, wire, Deadline.after(seconds), host or SilentHost()
        )
        return await walk(made)


async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that breaks the connection."""
    writer.transport.abort()


async def only(journal: Journal) -> Any:
    """The one row there is."""
    (row,) = await journal.rows()
    return row
