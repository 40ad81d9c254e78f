"""Words about what a node is doing, which the editor shows on the node while it runs."""

from __future__ import annotations

from comfy_execution.utils import get_executing_context
from server import PromptServer


def say_progress(text: str) -> None:
    """Show a text on the node that is running, to who queued it; nobody sees it where there is no editor.

    Args:
        text: without anything private.
    """
    server = getattr(PromptServer, "instance", None)
    context = get_executing_context()
    if server is None or context is None or server.client_id is None:
        return
    # The text travels as a binary message, which simple clients take for the picture. The editor says what it
    # understands when it connects; they do not.
    if server.sockets_metadata.get(server.client_id, {}).get("feature_flags"):
        server.send_progress_text(text, context.node_id, server.client_id)
