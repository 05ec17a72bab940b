"""The messages of a chat apart from its requests: each content once, by its hash. It knows the shape of a chat request and no SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agent.store.database.chain import message_hash
from prompts.errors import StoreError
from tools.records import to_json


def without_contents(request: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A chat request with each message's content replaced by its sha256, and the `messages` rows that hold them.

    Every turn of a chat sends the whole chat again: kept like this, each message is on disk once.
    """
    rows = {}
    messages = []
    for message in chat_messages(request):
        content, kept = message.get("content"), dict(message)
        if content is not None:
            del kept["content"]
            text = content if isinstance(content, str) else to_json(content)
            sha256 = message_hash(message.get("role"), content)
            kept |= {"content_sha256": sha256} | ({} if isinstance(content, str) else {"content_is": "json"})
            rows[sha256] = {"sha256": sha256, "role": str(message.get("role")), "content": text}
        messages.append(kept)
    return ({**request, "messages": messages} if messages else dict(request)), list(rows.values())


def with_contents(request: Mapping[str, Any], contents: Mapping[str, str]) -> dict[str, Any]:
    """Undo `without_contents`. Raises: StoreError when a message is missing."""
    messages = [_with_content(message, contents) for message in chat_messages(request)]
    return {**request, "messages": messages} if messages else dict(request)


def _with_content(message: Mapping[str, Any], contents: Mapping[str, str]) -> dict[str, Any]:
    if "content_sha256" not in message:
        return dict(message)
    rest = {name: value for name, value in message.items() if name not in ("content_sha256", "content_is")}
    if message["content_sha256"] not in contents:
        raise StoreError(f"message {message['content_sha256']!r} is missing: restore a copy of the database.")
    text = contents[message["content_sha256"]]
    return rest | {"content": json.loads(text) if message.get("content_is") == "json" else text}


def chat_messages(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The messages of a request in the chat format; none when it is something else."""
    messages = request.get("messages")
    return messages if isinstance(messages, list) and all(isinstance(item, dict) for item in messages) else []
