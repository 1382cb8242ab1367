"""A page that is left while two of its event streams are open.

Gradio forgets the session's messages once a stream (`sse_stream` in its routes.py) and takes the second time for an error, whose
traceback reaches the log.
"""

import gradio as gr
from gradio.utils import LRUCache


class Messages(LRUCache):
    """Messages by session; what is forgotten already may be forgotten again."""

    def __delitem__(self, session_hash: str) -> None:
        if session_hash in self:
            super().__delitem__(session_hash)


def forgive(demo: gr.Blocks) -> None:
    """Let `demo` forget a session twice."""
    kept = demo._queue.pending_messages_per_session
    demo._queue.pending_messages_per_session = Messages(kept.max_size)
