"""Files of a repository, decoded, by lines."""

import base64
from typing import Annotated

from pydantic import BaseModel, Field

from clew import Api, errors

from .provider import github

SHOWN = 8_000
"""Characters of text in one result."""
LARGEST = 5_000_000
"""Bytes of a file that is still read; base64 of it stays under the bound for one answer."""

_TEXT_CONTROLS = frozenset(b"\t\n\f\r\x1b")


class Entry(BaseModel):
    """One name in a directory."""

    name: str


class Content(BaseModel):
    """What stands at a path, in the form that GitHub calls `object`: the same for files and directories."""

    type: str
    path: str
    sha: str
    size: int = 0
    encoding: str | None = None
    content: str | None = None
    entries: list[Entry] | None = None


class Blob(BaseModel):
    """The content of a larger file."""

    content: str
    encoding: str


class FileText(BaseModel):
    """Lines of a file. `next_start_line` is there when the asked lines did not all fit."""

    path: str
    sha: Annotated[str, Field(description="The blob's id.")]
    size: Annotated[int, Field(description="Bytes of the whole file.")]
    total_lines: int
    start_line: int
    end_line: int
    text: str
    line_cut: Annotated[bool | None, Field(description="True: the line is too long and was cut.")] = None
    next_start_line: Annotated[int | None, Field(description="Pass it as start_line to read on.")] = None


@github.read(toolset="files")
async def get_file(
    api: Api,
    owner: str,
    repo: str,
    path: str,
    *,
    ref: Annotated[str | None, Field(description="Branch, tag or commit; default: the default branch.")] = None,
    start_line: Annotated[int, Field(ge=1)] = 1,
    end_line: Annotated[int | None, Field(ge=1, description="Last line wanted; default: as many as fit.")] = None,
) -> FileText:
    """Read a text file, or a range of its lines."""
    found = await api.get(
        "/repos/{}/{}/contents/{+}",
        owner,
        repo,
        path,
        query={"ref": ref},
        headers={"accept": "application/vnd.github.object+json"},
        into=Content,
    )
    _demand_file(found)
    if found.encoding == "base64" and found.content is not None:
        encoded = found.content
    else:  # over 1 MB GitHub leaves the content out
        encoded = (await api.get("/repos/{}/{}/git/blobs/{}", owner, repo, found.sha, into=Blob)).content
    return _lines(found, _decoded(found, encoded), start_line, end_line)


def _demand_file(found: Content) -> None:
    if found.type == "dir":
        names = ", ".join(entry.name for entry in found.entries or [])
        raise errors.InvalidInputError(
            f"{found.path!r} is a directory.",
            next_step="Give the path of a file in it; provider_message lists them.",
            provider_message=names or None,
        )
    if found.type != "file":
        raise errors.InvalidInputError(f"{found.path!r} is a {found.type}, not a file.")
    if found.size > LARGEST:
        raise errors.InvalidInputError(
            f"{found.path!r} has {found.size} bytes; at most {LARGEST} can be read.",
            next_step="Tell the person to clone the repository.",
        )


def _decoded(found: Content, encoded: str) -> str:
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except ValueError:
        raise errors.ContractChangedError("github sent a file in another encoding than base64.") from None
    if any(byte < 32 and byte not in _TEXT_CONTROLS for byte in content):
        raise errors.InvalidInputError(
            f"{found.path!r} is a binary file ({found.size} bytes).", next_step="Ask for a text file."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise errors.InvalidInputError(
            f"{found.path!r} is no UTF-8 text ({found.size} bytes).", next_step="Ask for a text file."
        ) from None


def _lines(found: Content, text: str, start: int, end: int | None) -> FileText:
    lines = text.removesuffix("\n").split("\n") if text else []
    if end is not None and end < start:
        raise errors.InvalidInputError("end_line is before start_line.")
    if start > max(len(lines), 1):
        raise errors.InvalidInputError(f"start_line {start} is after the end: the file has {len(lines)} lines.")
    wanted = lines[start - 1 : end]
    shown = _fitting(wanted)
    last = start - 1 + len(shown)
    return FileText(
        path=found.path,
        sha=found.sha,
        size=found.size,
        total_lines=len(lines),
        start_line=start,
        end_line=last,
        text="\n".join(shown)[:SHOWN],
        line_cut=True if len(shown) == 1 and len(shown[0]) > SHOWN else None,
        next_start_line=last + 1 if len(shown) < len(wanted) else None,
    )


def _fitting(lines: list[str]) -> list[str]:
    """As many whole lines as fit, and the first one in any case."""
    room = SHOWN
    for position, line in enumerate(lines):
        room -= len(line) + 1
        if room < -1 and position:
            return lines[:position]
    return lines
