"""`kill -9` at every step of a submission: the message leaves once, and never a second time."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.people import Person

from clew.core.errors import CallError, OutcomeUnknownError
from clew.core.journal import State

from .conftest import Office
from .test_watching import LETTER, looked, mailing, report

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
STEPS = ["MAIL", "RCPT", "end"]


async def killed(office: Office, home: Path, database: str, step: str) -> None:
    """Send in another process, which dies when the server has heard `step` and before it answers."""
    died = asyncio.Event()

    async def kill(*given: Any) -> str:
        if not died.is_set():
            died.set()
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
        return "250 never heard"

    office.post.at_end = kill if step == "end" else office.post.at_end
    for name in {"MAIL", "RCPT"} & {step}:
        setattr(office.post, f"handle_{name}", kill)
    plan = {"home": str(home), "database": database, "call": {**LETTER, "request_id": "m1"}}
    words = [sys.executable, "-m", "tests.mail.sender_process", json.dumps(plan)]
    process = await asyncio.create_subprocess_exec(*words, cwd=ROOT)
    await process.wait()
    assert died.is_set()
    for name in {"MAIL", "RCPT"} & {step}:
        delattr(office.post, f"handle_{name}")


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
async def test_a_sender_that_dies_has_sent_once_at_most(office: Office, tmp_path: Path, step: str) -> None:
    database = str(tmp_path / "home" / "clew.db")
    async with mailing(office, tmp_path / "home", database) as runtime:
        await killed(office, tmp_path / "home", database, step)
        (write,) = await runtime.store.journal.rows()
        assert write.state is State.SENT  # the Message-ID was durable before a byte of it left
        assert write.reference
        arrived = len(office.post.taken)
        assert arrived == (step == "end")
        for _ in range(2):
            with pytest.raises(CallError) as told:
                await runtime.call("send_message", {**LETTER, "request_id": "m1"}, host=Person())
            assert isinstance(told.value, OutcomeUnknownError)
        assert len(office.post.taken) == arrived
        office.imap.put("INBOX", report(write.reference, ann="delivered"))
        assert await looked(runtime) == 1
        done = await runtime.call("send_message", {**LETTER, "request_id": "m1"}, host=Person())
        assert done["confirmed"]["state"] == "delivered"
        assert len(office.post.taken) == arrived
