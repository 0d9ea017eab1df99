"""The provider of the benchmark: raw asyncio, one canned answer of about 3 kB, HTTP/1.1 kept alive."""

import asyncio
import json

ISSUES = [
    {
        "id": 900000 + number,
        "number": number,
        "title": f"Something is not as it should be, number {number}",
        "state": "open",
        "user": {"login": f"user{number}", "id": number, "type": "User"},
        "labels": [{"id": 1, "name": "bug", "color": "d73a4a"}],
        "comments": number % 7,
        "html_url": f"https://github.example/o/r/issues/{number}",
        "created_at": "2026-01-02T03:04:05Z",
    }
    for number in range(1, 13)
]
BODY = json.dumps(ISSUES, separators=(",", ":")).encode()
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: %d\r\n"
    b"x-ratelimit-limit: 5000000\r\nx-ratelimit-remaining: 4999999\r\nx-ratelimit-reset: 4102444800\r\n\r\n" % len(BODY)
) + BODY


class Provider(asyncio.Protocol):
    """One connection: an answer for each head, which has no body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.rest = transport, b""

    def data_received(self, data: bytes) -> None:
        *heads, self.rest = (self.rest + data).split(b"\r\n\r\n")
        if heads:
            self.transport.write(ANSWER * len(heads))


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
