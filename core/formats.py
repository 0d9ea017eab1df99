"""Bytes to plain data. Nothing here trusts the sender."""

import zlib
from collections.abc import AsyncIterable
from typing import Any

from pydantic_core import from_json


class DecodeError(ValueError):
    """The body is not what its label or its position promises; the message says what was seen, never the content."""


async def gather(parts: AsyncIterable[bytes], encoding: str, cap: int) -> bytes:
    """Read a body whole and undo its compression (`gzip`, `zstd` where its library is installed, or none), never
    holding much more than `cap` bytes of it.

    Raises `DecodeError` for a body that is larger, for damaged or unfinished compression, and for any other encoding.
    """
    unzip = _unzip(encoding)
    whole = bytearray()
    async for part in parts:
        whole += part if unzip is None else unzip.feed(part, cap + 1 - len(whole))
        if len(whole) > cap:
            raise DecodeError(f"more than {cap} bytes")
    if unzip is not None and unzip.unfinished:
        raise DecodeError("unfinished compression")
    return bytes(whole)


def _unzip(encoding: str) -> "_Unzip | _Unzstd | None":
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return _Unzip()
        case "zstd":
            return _Unzstd()
        case _:
            raise DecodeError("an encoding that was not asked for")


class _Unzip:
    """One gzip stream, unpacked in bounded steps: a few bytes can unpack to a thousand times as many."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._begun = False

    @property
    def unfinished(self) -> bool:
        """Has it begun without reaching its end?"""
        return self._begun and not self._stream.eof

    def feed(self, part: bytes, most: int) -> bytes:
        """What `part` unpacks to, at most `most` bytes."""
        self._begun = self._begun or bool(part)
        try:
            found = self._stream.decompress(part, most)
        except zlib.error:
            raise DecodeError("damaged compression") from None
        if self._stream.unused_data:  # bytes after the end
            raise DecodeError("damaged compression")
        return found


class _Unzstd:
    """One frame of Zstandard. Its library unpacks all it is given, so it is given little at a time: a block of four
    bytes can unpack to 128 kB, and a frame says how large a window it wants."""

    _STEP = 64
    _WINDOW = 8 * 1024 * 1024

    def __init__(self) -> None:
        try:
            from zstandard import ZstdDecompressor, ZstdError
        except ImportError:
            raise DecodeError("Zstandard, which takes: pip install 'clew[zstd]'") from None
        self._stream = ZstdDecompressor(max_window_size=self._WINDOW).decompressobj()
        self._damaged = ZstdError
        self._begun = False

    @property
    def unfinished(self) -> bool:
        """Has it begun without reaching its end?"""
        return self._begun and not self._stream.eof

    def feed(self, part: bytes, most: int) -> bytes:
        """What `part` unpacks to; no more of it when that is `most` bytes or above."""
        self._begun = self._begun or bool(part)
        found = bytearray()
        for start in range(0, len(part), self._STEP):
            try:
                found += self._stream.decompress(part[start : start + self._STEP])
            except self._damaged:  # also bytes in a step after the end
                raise DecodeError("damaged compression") from None
            if self._stream.unused_data:
                raise DecodeError("damaged compression")
            if len(found) >= most:
                break
        return bytes(found)


def decode(content: bytes, content_type: str) -> Any:
    """Decode a body by its media type: JSON to plain data, `text/*` to `str`, nothing to `None`, the rest stays bytes.

    A body with no label, or labelled as plain or binary, is JSON when it parses as JSON. Raises `DecodeError` for JSON
    that is damaged, not UTF-8, or nested deeper than 200 levels.
    """
    if not content.strip():
        return None
    media = content_type.partition(";")[0].strip().lower()
    if media.endswith(("/json", "+json")):
        return _json(content)
    if media.startswith("text/") and media != "text/plain":
        return _text(content)
    if content[:1] in b'{["' or content[:3] == b"\xef\xbb\xbf":
        try:
            return _json(content)
        except DecodeError:
            pass
    return _text(content) if media.startswith("text/") else content


def decode_error(content: bytes) -> Any:
    """The JSON of an error body that is labelled as something else; `None` when it is none."""
    stripped = content.strip()
    if stripped[:1] not in (b"{", b"["):
        return None
    try:
        return _json(stripped)
    except DecodeError:
        return None


def _json(content: bytes) -> Any:
    try:
        return from_json(content.removeprefix(b"\xef\xbb\xbf"), allow_inf_nan=False)
    except ValueError as error:
        if content.lstrip()[:1] == b"<":
            raise DecodeError("HTML or XML instead of JSON") from None
        raise DecodeError(f"damaged JSON ({_reason(error)})") from None


def _reason(error: ValueError) -> str:
    """The parser's reason without the input it may quote."""
    return str(error).partition(" at line")[0]


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
