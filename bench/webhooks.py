"""What verifying costs, against the Python library of each provider that has one: `python bench/webhooks.py`.

Needs the libraries that bench/webhook_peers.py names. Both ways do the same work in turn, in one process; the
ratio counts (above 1: we are faster). Both find their headers among fifteen; ours makes an event.
"""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from clew.connectors.webhooks.catalog import SCHEMES
from clew.core.secret import Secret
from clew.core.webhooks import Delivery, Event, verify

sys.path.insert(0, str(Path(__file__).parent))
from webhook_peers import NOW, Judge, Vector, peers

USUAL = tuple(
    (name, "application/json" if name == "accept" else "x" * 24)
    for name in (
        "host", "accept", "accept-encoding", "user-agent", "content-length", "x-forwarded-for", "x-forwarded-proto",
        "x-request-id", "traceparent", "connection", "cache-control", "via",
    )
)  # fmt: skip
BODY = b'{"id":"evt_1","type":"charge.succeeded","data":{"object":{' + b'"k":"v",' * 120 + b'"z":1}}}'


def rate(work: Callable[[], object], seconds: float) -> float:
    """Microseconds each, in the fastest of the short stretches that fit into so much time: other programs only ever
    make one slower."""
    fastest, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        for _ in range(20):
            work()
        fastest = min(fastest, (time.perf_counter() - begun) / 20)
    return fastest * 1e6


def main(seconds: float) -> None:
    """Print the table."""
    print(f"a body of {len(BODY)} bytes, 15 headers, the fastest stretches of 7 turns each\n")
    print("| library | theirs | ours | ratio |\n| --- | --- | --- | --- |")
    for name, scheme, make, judge in peers():
        vector = make(BODY, NOW)
        headers = (*USUAL, *((key.lower(), value) for key, value in vector.headers))
        vector = replace(vector, headers=headers)
        secrets = [Secret(vector.secret)]

        def ours(vector: Vector = vector, scheme: str = scheme, secrets: list[Secret] = secrets) -> None:
            delivery = Delivery(vector.headers, vector.body, url=vector.url)
            found = verify(SCHEMES[scheme], delivery, secrets, now=NOW)
            assert isinstance(found, Event)

        def theirs(judge: Judge = judge, vector: Vector = vector) -> None:
            judge(vector)

        pairs = [(rate(theirs, seconds), rate(ours, seconds)) for _ in range(7)]
        them, us = (min(each) for each in zip(*pairs, strict=True))
        print(f"| {name} | {them:.1f} µs | {us:.1f} µs | {them / us:.2f} |")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.2)
