"""Group commit: what arrives while one transaction is made durable goes into the next, so many share one disk flush."""

import asyncio
from collections.abc import Callable, Sequence

from clew.core.errors import CallError, TransientError
from clew.core.inbox import Inbox, Incoming
from clew.core.values import dataclass

_BATCH = 256
WAITING = 4096
"""Events that may wait for the store; more are refused, and their senders come again."""


@dataclass(frozen=True, slots=True)
class _Put:
    events: Sequence[Incoming]
    done: asyncio.Future[list[int | None]]


class Intake:
    """The way into an inbox for many deliveries at once. `stored` is called after each commit."""

    def __init__(self, inbox: Inbox, stored: Callable[[], None] = lambda: None) -> None:
        self._inbox = inbox
        self._stored = stored
        self._waiting: list[_Put] = []
        self._count = 0
        self._task: asyncio.Task[None] | None = None

    async def put(self, events: Sequence[Incoming]) -> list[int | None]:
        """Store events; each one's number, None for a duplicate. Durable when this returns.

        Raises `TransientError` when too many wait, else what the store raises: then nothing of it is certain.
        """
        if self._count + len(events) > WAITING:
            raise TransientError("Too many deliveries wait to be stored; nothing was written.")
        put = _Put(events, asyncio.get_running_loop().create_future())
        self._waiting.append(put)
        self._count += len(events)
        if self._task is None:
            self._task = asyncio.create_task(self._drain(), name="clew intake")
        return await put.done

    async def close(self) -> None:
        """Stop storing; whoever still waits is cancelled, and its sender hears nothing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await self._commit(self._next())
        finally:
            self._task = None

    def _next(self) -> list[_Put]:
        """The puts that go together: as many as fit, at least one."""
        size = count = 0
        for put in self._waiting:
            if count and size + len(put.events) > _BATCH:
                break
            size, count = size + len(put.events), count + 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._count -= size
        return batch

    async def _commit(self, batch: Sequence[_Put]) -> None:
        try:
            numbers = iter(await self._inbox.store([event for put in batch for event in put.events]))
        except CallError as error:
            self._fail(batch, error)
        except Exception as error:
            # One delivery that the store cannot take must not be the end of the others.
            if len(batch) == 1:
                self._fail(batch, error)
            else:
                for put in batch:
                    await self._commit([put])
        except BaseException as error:
            self._fail([*batch, *self._waiting], error)
            raise
        else:
            for put in batch:
                own = [next(numbers) for _ in put.events]
                if not put.done.done():
                    put.done.set_result(own)
            self._stored()

    @staticmethod
    def _fail(batch: Sequence[_Put], error: BaseException) -> None:
        for put in batch:
            if not put.done.done():
                put.done.set_exception(error)
