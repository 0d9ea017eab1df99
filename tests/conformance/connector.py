"""The tools of the official suite that a connector can offer, written as anybody would write a connector."""

from pydantic import BaseModel

from clew import Api, Connector, errors

conformance = Connector("conformance", base_url="https://conformance.example", title="Conformance")


class Said(BaseModel):
    text: str


@conformance.read
async def test_simple_text(api: Api) -> Said:
    """Say one sentence."""
    return Said(text="This is a simple text response for testing.")


@conformance.read
async def test_error_handling(api: Api) -> Said:
    """Fail, always."""
    raise errors.ConflictError("This tool intentionally returns an error for testing")


@conformance.read
async def test_tool_with_progress(api: Api) -> Said:
    """Report progress three times."""
    for step in ("begun", "half way", "almost there"):
        await api.progress(step)
    return Said(text="done")


@conformance.read
async def test_logging_tool(api: Api) -> Said:
    """Work without a word in the log of the client."""
    return Said(text="done")


@conformance.read
async def read_message(api: Api, message: str) -> Said:
    """Read what the question is about."""
    return Said(text=message)


@conformance.destructive(preview=read_message)
async def test_elicitation(api: Api, message: str) -> Said:
    """Ask the person first, as every destructive tool does."""
    return Said(text=message)


@conformance.destructive(preview=test_simple_text)
async def test_streaming_elicitation(api: Api) -> Said:
    """Ask the person first; in the newer era the question is a result."""
    return Said(text="done")
