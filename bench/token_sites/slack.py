"""What Slack adds to every message and emulate does not: docs.slack.dev/reference/events/message, /reference/block-kit/
blocks/rich-text-block, /reference/methods/chat.postMessage.
"""

import re
import uuid
from typing import Any, cast

from .shared import Object

TEAM = "T000000001"


def _blocks(text: str) -> list[Object]:
    """The text once more, as Slack's editor and its API write it."""
    parts: list[Object] = []
    for piece in re.split(r"(<https?://[^>]+>)", text):
        if piece.startswith("<http"):
            url, _, shown = piece[1:-1].partition("|")
            parts.append({"type": "link", "url": url, "text": shown})
        elif piece:
            parts.append({"type": "text", "text": piece})
    inner = {"type": "rich_text_section", "elements": parts}
    return [{"type": "rich_text", "block_id": uuid.uuid5(uuid.NAMESPACE_URL, text).hex[:5], "elements": [inner]}]


def _app() -> Object:
    pictures = {f"image_{size}": f"https://a.slack-edge.com/80588/img/plugins/app/bot_{size}.png" for size in (36, 48)}
    known = {"id": "B05UV3LKM2R", "app_id": "A05V2KQ9TLD", "user_id": "U05UVQK2W1X", "name": "bench"}
    profile = {**known, "icons": pictures, "deleted": False, "updated": 1795404096, "team_id": TEAM}
    return {"bot_id": known["id"], "app_id": known["app_id"], "bot_profile": profile}


def complete(said: Any) -> Any:
    """An answer, with what messages of Slack have besides."""
    if not isinstance(said, dict):
        return said
    answer = cast("Object", said)
    for each in cast("list[Object]", answer.get("messages", [])):
        more = {"client_msg_id": str(uuid.uuid5(uuid.NAMESPACE_URL, each["ts"])), "team": TEAM}
        each |= {**more, "blocks": _blocks(each["text"])}
    if isinstance(answer.get("message"), dict):
        answer["message"] |= {"team": TEAM, "blocks": _blocks(answer["message"]["text"]), **_app()}
    return answer
