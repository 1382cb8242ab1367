"""Whose page this is, and which run it looks at."""

from __future__ import annotations

import gradio as gr

from lora_demo import runs

# A browser keeps one random secret, so that its runs stay its own through a reload. A program has its session_hash instead.
OWNER = """() => {
  try {
    return localStorage.loraLabOwner ||= Array.from(crypto.getRandomValues(new Uint8Array(16)),
      byte => byte.toString(16).padStart(2, '0')).join('');
  } catch { return ''; }  // storage forbidden: the page's own session will do
}"""


def owner_of(secret: str | None, request: gr.Request) -> str:
    """The session's name: the browser's secret where it has one, else Gradio's session_hash."""
    return secret or request.session_hash


def usable_record(owner: str):
    """The record this session classifies with: its newest trained adapter, or before any the bundled reference."""
    run = runs.latest(owner)
    return run.record if run else runs.record("reference")
