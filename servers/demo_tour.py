"""What a demo shows: its steps, and the two ends of the server under demonstration."""

import time
from dataclasses import field
from typing import Any

from mcp import Client

from clew.core.fields import as_object
from clew.core.values import dataclass
from clew.servers.sandbox import Sandbox


@dataclass(slots=True)
class Step:
    """One thing the demo showed: the call, what came back, and what it means."""

    title: str
    tool: str = ""
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    result: Any = None
    seconds: float = 0.0
    said: str = ""
    ok: bool = True


class DemoError(Exception):
    """Something did not go as the demo promises."""


@dataclass(slots=True)
class Tour:
    """The demo under way: the provider, the client's end of the server, and the steps so far."""

    sandbox: Sandbox
    client: Client
    as_json: bool
    asked: list[str]
    opened: list[str] = field(default_factory=list[str])
    steps: list[Step] = field(default_factory=list[Step])

    async def call(self, step: Step) -> dict[str, Any]:
        """Call the step's tool and keep what came back."""
        started = time.monotonic()
        result = await self.client.call_tool(step.tool, step.arguments)
        step.seconds = round(time.monotonic() - started, 2)
        step.result = result.structured_content
        return as_object(step.result) or {}

    def show(self, step: Step) -> None:
        """Print a step, or keep it for the transcript."""
        self.steps.append(step)
        if self.as_json:
            return
        print(f"\n{len(self.steps)}  {step.title}")
        if step.tool:
            arguments = " ".join(f"{name}={value!r}" for name, value in step.arguments.items())
            print(f"   > {step.tool} {arguments}".rstrip())
        for line in step.said.splitlines():
            print(f"   {line}")
