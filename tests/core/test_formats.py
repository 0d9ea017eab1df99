"""Bytes to plain data, whoever sent them."""

import gzip
import json
import sys
import tracemalloc
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from clew.core.formats import DecodeError, decode, gather

JSON = "application/json"


@pytest.mark.parametrize(
    ("content", "kind", "data"),
    [
        (b'{"a": 1}', JSON, {"a": 1}),
        (b'{"a": 1}', "application/json; charset=utf-8", {"a": 1}),
        (b'{"a": 1}', "Application/Vnd.GitHub+JSON", {"a": 1}),
        (b'{"a": 1}', "text/json", {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', JSON, {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', "", {"a": 1}),
        (b"[1]", "", [1]),
        (b'"x"', "application/octet-stream", "x"),
        (b'{"a": 1}', "text/plain", {"a": 1}),
        (b"{broken", "text/plain", "{broken"),
        (b"{broken", "application/octet-stream", b"{broken"),
        (b"a,b\n1,2", "text/csv", "a,b\n1,2"),
        (b"\xef\xbb\xbfa,b", "text/csv", "a,b"),
        (b'"a"', "text/csv", '"a"'),
        (b"caf\xe9", "text/plain", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
        (b"<p>", "text/html", "<p>"),
        (b"\x89PNG", "image/png", b"\x89PNG"),
        (b"", JSON, None),
        (b" \r\n ", JSON, None),
    ],
)
def test_a_body_becomes_what_its_label_or_its_content_promises(content: bytes, kind: str, data: Any) -> None:
    assert decode(content, kind) == data


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<html>secret</html>", "HTML or XML instead of JSON"),
        (b"  <?xml?>secret", "HTML or XML instead of JSON"),
        (b'{"a": "secret', "damaged JSON"),
        (b'{"a": "secret\xff"}', "damaged JSON"),
        (b'{"a": NaN}', "damaged JSON"),
        (b'{"a": "\\ud800"}', "damaged JSON"),
        (b"[" * 10_000 + b"]" * 10_000, "recursion limit exceeded"),
        (b"9" * 5000, "number out of range"),
        ('{"a": 1}'.encode("utf-16"), "damaged JSON"),
    ],
    ids=range(9),
)
def test_damaged_json_is_named_without_its_content(content: bytes, says: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(content, JSON)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 100


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.text(), st.lists, max_leaves=10))
def test_every_json_value_comes_through(value: Any) -> None:
    assert decode(json.dumps(value).encode(), JSON) == value


@given(st.binary(max_size=300), st.sampled_from([JSON, "", "text/plain", "text/html", "image/png"]))
def test_no_body_ends_in_anything_but_data_or_a_decode_error(content: bytes, kind: str) -> None:
    with suppress(DecodeError):
        decode(content, kind)


async def parts(content: bytes, size: int) -> AsyncGenerator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.anyio
@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("encoding", ["", "identity", "gzip", " X-GZIP ", "zstd"])
async def test_a_body_in_any_pieces_is_gathered_up_to_its_cap(size: int, encoding: str) -> None:
    body = b"hello " * 50
    packers: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstandard.compress}
    sent = packers.get(encoding.lower().strip(" x-"), bytes)(body)
    assert await gather(parts(sent, size), encoding, len(body)) == body
    with pytest.raises(DecodeError, match="more than 299 bytes"):
        await gather(parts(sent, size), encoding, len(body) - 1)


@pytest.mark.anyio
async def test_no_body_at_all_is_empty_whatever_the_encoding() -> None:
    assert await gather(parts(b"", 1), "gzip", 10) == b""
    assert await gather(parts(b"", 1), "zstd", 10) == b""


FRAME = zstandard.ZstdCompressor(write_checksum=True).compress(b"hello " * 50)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"not zstd at all", "damaged compression"),
        (FRAME[:-3], "unfinished compression"),
        (FRAME[:-4] + b"!" + FRAME[-3:], "damaged compression"),
        (FRAME + b"tail", "damaged compression"),
        (FRAME + FRAME, "damaged compression"),
        (
            zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(window_log=27)).compress(
                bytes(2**25)
            ),
            "damaged compression",
        ),
    ],
    ids=["other", "cut", "checksum", "tail", "two", "window"],
)
@pytest.mark.parametrize("size", [1, 100_000])
async def test_a_damaged_or_greedy_frame_is_found(sent: bytes, says: str, size: int) -> None:
    with pytest.raises(DecodeError, match=says):
        await gather(parts(sent, size), "zstd", 1000)


@pytest.mark.anyio
async def test_a_frame_that_unpacks_to_a_gigabyte_is_stopped_early() -> None:
    bomb = zstandard.ZstdCompressor(level=19, write_content_size=False).compressobj()
    sent = b"".join(bomb.compress(bytes(1_000_000)) for _ in range(300)) + bomb.flush()
    assert len(sent) < 100_000
    tracemalloc.start()
    with pytest.raises(DecodeError, match="more than 1000 bytes"):
        await gather(parts(sent, 100_000), "zstd", 1000)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.anyio
async def test_zstd_without_its_library_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(DecodeError, match="clew\\[zstd\\]"):
        await gather(parts(FRAME, 10), "zstd", 1000)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"not gzip at all", "damaged compression"),
        (gzip.compress(b"hello")[:-3], "unfinished compression"),
        (gzip.compress(b"hello")[:-5] + b"!" + gzip.compress(b"hello")[-4:], "damaged compression"),
        (gzip.compress(b"hello") + b"tail", "damaged compression"),
    ],
    ids=["other", "cut", "checksum", "tail"],
)
@pytest.mark.parametrize("size", [1, 1000])
async def test_damaged_compression_is_found(sent: bytes, says: str, size: int) -> None:
    with pytest.raises(DecodeError, match=says):
        await gather(parts(sent, size), "gzip", 1000)


@pytest.mark.anyio
@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
async def test_an_encoding_nobody_asked_for_is_refused(encoding: str) -> None:
    with pytest.raises(DecodeError, match="not asked for"):
        await gather(parts(b"x", 1), encoding, 10)


@pytest.mark.anyio
async def test_a_bomb_is_stopped_at_the_cap_and_never_unpacked_in_memory() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(100)) + packer.flush()
    assert len(bomb) < 200_000
    tracemalloc.start()
    with pytest.raises(DecodeError, match="more than 1000 bytes"):
        await gather(parts(bomb, 65_536), "gzip", 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
