"""Keys that providers publish, fetched when they are needed and kept for a while. The fetching is the caller's."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence

from clew.core.secret import Secret
from clew.core.webhooks.delivery import Delivery, Refused
from clew.core.webhooks.event import Event, Refusal
from clew.core.webhooks.scheme import Scheme
from clew.core.webhooks.verifying import verify

Fetch = Callable[[str], Awaitable[bytes]]
"""Gets a URL with HTTPS, without redirects to other hosts, bounded in size and time. Raises when it cannot."""

_MOST = 64
_FRESH = 24 * 3600.0
_PAUSE = 60.0
_BURST = 10


class KeyRing:
    """Keys by URL. What was fetched is good for a day; what failed, or did not help, is not asked for again for a
    minute, and no more than ten URLs are fetched in a minute: a forger cannot make us flood a provider."""

    def __init__(self, fetch: Fetch, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, bytes | None]] = OrderedDict()
        self._fetches: list[float] = []

    def known(self, url: str) -> bytes | None:
        """What stands at `url`, if it was fetched and is still fresh."""
        found = self._kept.get(url)
        return None if found is None or self._clock() - found[0] > _FRESH else found[1]

    async def verify(
        self,
        scheme: Scheme | Sequence[Scheme],
        delivery: Delivery,
        secrets: Iterable[Secret],
        *,
        now: float | None = None,
        tolerance: float | None = None,
    ) -> Event | Refusal:
        """`verify`, fetching the key that is missing, and fetching an old one again when no key of it matches."""
        held = tuple(secrets)
        used: list[str] = []

        def known(url: str) -> bytes | None:
            used.append(url)
            return self.known(url)

        found = verify(scheme, delivery, held, now=now, tolerance=tolerance, known=known)
        if isinstance(found, Event):
            return found
        stale = used[-1] if found.code is Refused.MISMATCH and used else None  # the provider may have a new key
        url = found.fetch or stale
        if url is None or not await self._get(url):
            return found
        return verify(scheme, delivery, held, now=now, tolerance=tolerance, known=self.known)

    async def _get(self, url: str) -> bool:
        """Fetch, unless that was done a moment ago; did it bring anything new?"""
        now = self._clock()
        former = self._kept.get(url)
        self._fetches = [each for each in self._fetches if now - each < _PAUSE]
        if (former is not None and now - former[0] < _PAUSE) or len(self._fetches) >= _BURST:
            return False
        self._fetches.append(now)
        try:
            content: bytes | None = await self._fetch(url)
        except Exception:  # whatever it is, there is no key now
            content = former[1] if former is not None else None
        self._kept[url] = (now, content)
        self._kept.move_to_end(url)
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return content is not None and content != (former[1] if former is not None else None)
