"""What a receiver on the open internet meets, in a process of its own: it prints how much it managed at the end.

    python flooding.py '{"port": 18080, "seconds": 5, "loris": 1000, "bodies": 4, "heads": 4, "forgers": 64}'

loris   connections that send a byte of their head now and then and never finish; whoever is cut off comes again
bodies  bodies of 100 MB, announced or in endless chunks; and bodies that drip
heads   heads of many megabytes: one endless header, or a hundred thousand of them
forgers connections that send deliveries with bad signatures as fast as they are answered, 16 at a time
strangers forgeries a second from eight other addresses, each on a connection of its own whose answer nobody waits for
"""

import asyncio
import contextlib
import json
import secrets
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.attacks.delivering import PATH, new_secret, payment, request

HOST = "127.0.0.1"
COUNTS: Counter[str] = Counter()
Attack = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def loris(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    COUNTS["loris connections"] += 1
    for part in (b"POST ", PATH.encode(), b" HTTP/1.1\r\nhost: a\r\n"):
        writer.write(part)
    while not reader.at_eof():
        writer.write(b"x-a: b\r\n")
        await writer.drain()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reader.read(1), 1.0)


async def announced(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(f"POST {PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: {100 << 20}\r\n\r\n".encode())
    await endless(writer, b"x" * 65536, 1600, "announced bodies", reader)


async def chunked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(f"POST {PATH} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".encode())
    await endless(writer, b"10000\r\n" + b"x" * 65536 + b"\r\n", 1600, "chunked bodies", reader)


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(f"POST {PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000\r\n\r\n".encode())
    writer.write(b"x" * 1_000_000)
    while not reader.at_eof():
        writer.write(b"x")
        await writer.drain()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.5)
    COUNTS["dripping bodies"] += 1


async def one_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(f"POST {PATH} HTTP/1.1\r\nhost: a\r\nx-a: ".encode())
    await endless(writer, b"y" * 65536, 320, "endless headers", reader)


async def many_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(f"POST {PATH} HTTP/1.1\r\nhost: a\r\n".encode())
    await endless(writer, b"x-a: b\r\n" * 1000, 100, "header bombs", reader)


async def endless(
    writer: asyncio.StreamWriter, chunk: bytes, times: int, name: str, reader: asyncio.StreamReader
) -> None:
    try:
        for _ in range(times):
            writer.write(chunk)
            await writer.drain()
            COUNTS[f"bytes of {name}"] += len(chunk)
        await reader.read(1000)
    finally:
        COUNTS[name] += 1


async def forger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    bad = [request(new_secret(), f"evt_{secrets.token_hex(4)}", payment(n)) for n in range(16)]
    while True:
        writer.write(b"".join(bad))
        for _ in bad:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            COUNTS[f"bad signatures answered {head.split()[1].decode()}"] += 1


def strangers(port: int, rate: int, until: float) -> None:
    """Send and hang up, so many times a second."""
    bad = [request(new_secret(), f"evt_{number}", payment(number)) for number in range(64)]
    began, tried = time.monotonic(), 0
    while (now := time.monotonic()) < until:
        if tried >= (now - began) * rate:
            time.sleep(0.0005)
            continue
        tried += 1
        with socket.socket() as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stranger.bind((f"127.0.0.{2 + tried % 8}", 0))
            stranger.setblocking(False)
            try:
                stranger.connect_ex((HOST, port))
                stranger.send(bad[tried % 64])
                COUNTS["strangers' forgeries sent"] += 1
            except OSError:
                COUNTS["strangers not let in"] += 1


async def again_and_again(port: int, attack: Attack, until: float) -> None:
    while time.monotonic() < until:
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + until - time.monotonic()):
                reader, writer = await asyncio.open_connection(HOST, port)
                await attack(reader, writer)
        except (OSError, EOFError, TimeoutError, ValueError):
            await asyncio.sleep(0.01)
        finally:
            if writer is not None:
                writer.transport.abort()


async def main(plan: dict[str, int]) -> None:
    until = time.monotonic() + plan["seconds"]
    attacks: list[Attack] = [loris] * plan.get("loris", 0)
    attacks += [announced, chunked, dripping] * plan.get("bodies", 0)
    attacks += [one_header, many_headers] * plan.get("heads", 0)
    attacks += [forger] * plan.get("forgers", 0)
    print("started", flush=True)
    flood = asyncio.to_thread(strangers, plan["port"], plan["strangers"], until) if "strangers" in plan else None
    await asyncio.gather(
        *(again_and_again(plan["port"], attack, until) for attack in attacks), *([flood] if flood else [])
    )
    print(json.dumps(COUNTS), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
