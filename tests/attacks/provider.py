"""A provider with a real quota, in a process of its own: `python provider.py '{"algorithm": "bucket", "limit": 50}'`.

Prints its port, then serves. The quota is the sandbox's; `style` says what answers tell: `none` (only how
long to wait after a refusal), `silent` (nothing at all), `linear` (headers with
epoch milliseconds) or `shopify` (a bucket of cost points told in the body, requests cost what `X-Cost` says).
`GET /_stats` returns [[seconds, status, who], …] and `POST /_outage?seconds=20` lets every connection end unanswered.
"""

import asyncio
import json
import sys
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from clew.servers.sandbox.limits import Limits
from clew.servers.sandbox.refusals import RefusalError
from clew.servers.sandbox.settings import Settings


class Provider(asyncio.Protocol):
    def __init__(self, plan: dict[str, Any], answers: list[tuple[float, int, str]], state: dict[str, Any]) -> None:
        self.plan, self.answers, self.state = plan, answers, state
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            self._answer(head.decode("latin-1"))

    def _answer(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        target = urlsplit(first.split()[1])
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        if target.path == "/_stats":
            self._send(200, {}, self.answers)
            return
        if target.path == "/_outage":
            self.state["down_until"] = time.time() + float(query["seconds"])
            self._send(200, {}, {})
            return
        now, who = time.time(), query.get("who", "")
        if now < self.state.get("down_until", 0.0):
            self.answers.append((now, 0, who))
            if self.plan.get("outage") == "503":
                self._send(503, {}, {})
            else:
                self.transport.abort()
            return
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        status, said, body = self._metered(now, float(headers.get("x-cost", "1")))
        self.answers.append((now, status, who))
        delay = self.plan.get("work", 0.0)
        if delay:
            asyncio.get_running_loop().call_later(delay, self._send, status, said, body)
        else:
            self._send(status, said, body)

    def _metered(self, now: float, cost: float) -> tuple[int, dict[str, str], Any]:
        if self.plan.get("style") == "shopify":
            return self._points(now, cost)
        limits: Limits = self.state["limits"]
        try:
            said = limits.admit("app", now)
            limits.leave("app")
            status = 200
        except RefusalError as refusal:
            status, said = refusal.status, dict(refusal.headers or {})
        if self.plan.get("style") == "linear":
            meter = vars(limits)["_meters"]["app"]
            reset = int(1000 * (meter.started_at + self.plan["window"]))
            said = {
                "X-RateLimit-Requests-Limit": str(self.plan["limit"]),
                "X-RateLimit-Requests-Remaining": said["X-RateLimit-Remaining"],
                "X-RateLimit-Requests-Reset": str(reset),
            }
        elif self.plan.get("style") == "silent":
            said = {}
        elif self.plan.get("style", "none") == "none":
            said = {name: value for name, value in said.items() if name == "Retry-After"}
        return status, said, {"ok": status == 200}

    def _points(self, now: float, cost: float) -> tuple[int, dict[str, str], Any]:
        size, restore = self.plan["limit"], self.plan["limit"] / self.plan["window"]
        have = min(size, self.state.get("points", size) + (now - self.state.get("at", now)) * restore)
        admitted = have >= cost
        have -= cost if admitted else 0
        self.state.update(points=have, at=now)
        throttle = {"maximumAvailable": size, "currentlyAvailable": int(have), "restoreRate": restore}
        body: dict[str, Any] = {"extensions": {"cost": {"actualQueryCost": cost, "throttleStatus": throttle}}}
        if not admitted:
            body["errors"] = [{"extensions": {"code": "THROTTLED"}}]
        return (200 if admitted else 429), {}, body

    def _send(self, status: int, headers: dict[str, str], body: Any) -> None:
        content = json.dumps(body).encode()
        lines = {"content-type": "application/json", "content-length": str(len(content)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.transport.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + content)


async def main() -> None:
    plan = json.loads(sys.argv[1])
    settings = Settings(
        rate_limit=plan.get("limit", 50),
        rate_window_seconds=plan.get("window", 1),
        rate_algorithm=plan.get("algorithm", "bucket"),
        count_refused=plan.get("count_refused", False),
    )
    state: dict[str, Any] = {"limits": Limits(settings)}
    answers: list[tuple[float, int, str]] = []
    server = await asyncio.get_running_loop().create_server(lambda: Provider(plan, answers, state), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
