"""A stand-in for the API of a host's model: it calls one tool once, and notes what the host shows it as the result."""

import contextlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Block = dict[str, Any]


@dataclass(slots=True)
class Model:
    """Its address, the texts of the tool results it was shown, and which tools each request offered it."""

    url: str = ""
    shown: list[str] = field(default_factory=list[str])
    offered: list[set[str]] = field(default_factory=list[set[str]])


@contextlib.contextmanager
def claude_model(tool: str, arguments: Mapping[str, Any]) -> Generator[Model]:
    """The messages API of Claude Code's model, on a free port of 127.0.0.1."""
    use = {"name": tool, "input": dict(arguments)}
    with _served(lambda asked, model: _answer(asked, model, use)) as model:
        yield model


@contextlib.contextmanager
def codex_model(server: str, tool: str, arguments: Mapping[str, Any]) -> Generator[Model]:
    """The responses API of Codex's model; its tools stand in a namespace for each server."""
    call = {"name": tool, "namespace": f"mcp__{server}", "arguments": json.dumps(arguments)}
    with _served(lambda asked, model: _response(asked, model, call)) as model:
        yield model


@contextlib.contextmanager
def _served(answer: Callable[[Block, Model], bytes]) -> Generator[Model]:
    model = Model()

    class Door(BaseHTTPRequestHandler):
        def log_message(self, format: str, *values: object) -> None:
            """Say nothing."""

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers.get("content-length", "0"))) or b"{}")
            said = answer(asked, model)
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    model.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(asked: Mapping[str, Any], model: Model, use: Block) -> bytes:
    """The tool call where the tool is offered and has no result yet, else a word of goodbye."""
    lists = [each["content"] for each in asked.get("messages", ()) if isinstance(each["content"], list)]
    results = [block for blocks in lists for block in blocks if block.get("type") == "tool_result"]
    offered = {str(tool.get("name")) for tool in asked.get("tools", ())}
    if offered:
        model.offered.append(offered)
    if use["name"] in offered and not results:
        return _stream({"type": "tool_use", "id": "toolu_1", **use}, "tool_use")
    model.shown = [_text(block["content"]) for block in results] or model.shown
    return _stream({"type": "text", "text": "done"}, "end_turn")


def _response(asked: Mapping[str, Any], model: Model, call: Block) -> bytes:
    """The same for Codex: the call in the first turn, whatever is offered, for that is when a slow server is missed."""
    spaces = [tool for tool in asked.get("tools", ()) if tool.get("type") == "namespace"]
    model.offered.append({f"{space['name']}__{tool['name']}" for space in spaces for tool in space["tools"]})
    results = [each for each in asked.get("input", ()) if each.get("type") == "function_call_output"]
    model.shown = [_text(each["output"]) for each in results] or model.shown
    item: Block = {"type": "function_call", "id": "fc_1", "call_id": "call_1", **call}
    if results:
        item = {
            "type": "message",
            "id": "m_1",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "done"}],
        }
    used = {"input_tokens": 1, "input_tokens_details": None, "output_tokens": 1, "output_tokens_details": None}
    events: list[tuple[str, Block]] = [
        ("response.created", {"response": {"id": "r_1"}}),
        ("response.output_item.done", {"item": item, "output_index": 0}),
        ("response.completed", {"response": {"id": "r_1", "usage": {**used, "total_tokens": 2}}}),
    ]
    return _events(events)


def _events(events: Sequence[tuple[str, Block]]) -> bytes:
    return "".join(f"event: {kind}\ndata: {json.dumps({'type': kind, **facts})}\n\n" for kind, facts in events).encode()


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _stream(block: Block, reason: str) -> bytes:
    empty: Block = {"type": "text", "text": ""}
    delta: Block = {"type": "text_delta", "text": block.get("text")}
    if block["type"] == "tool_use":
        empty = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    used = {"input_tokens": 1, "output_tokens": 1}
    message: Block = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": used}
    events: list[tuple[str, Block]] = [
        ("message_start", {"message": message}),
        ("content_block_start", {"index": 0, "content_block": empty}),
        ("content_block_delta", {"index": 0, "delta": delta}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": 1}}),
        ("message_stop", {}),
    ]
    return _events(events)
