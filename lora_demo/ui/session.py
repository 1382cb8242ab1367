"""Whose page this is, and which run it looks at."""

from __future__ import annotations

import gradio as gr

from lora_demo import library, runs
from lora_demo.records import Record

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


def own_records(owner: str) -> list[Record]:
    """The records of this session's runs whose adapters can be used: over or paused, newest first."""
    return [run.record for run in runs.of(owner) if run.over or run.paused]


def library_of(owner: str) -> list[library.Entry]:
    """The session's adapters, newest first, the bundled ones last."""
    return library.entries(owner, own_records(owner))


def found(name: str, owner: str) -> library.Entry:
    """The adapter of this id or bundled name in the session's library; raises `RunError` for anybody else's.

    Who holds a run's link may watch it; its adapter answers to its owner alone.
    """
    entry = next((entry for entry in library_of(owner) if entry.id == name), None)
    if entry is None:
        names = ", ".join(runs.bundled()) or "none"
        raise runs.RunError(
            f"There is no run {name!r} in this session's library: give the id of one of its own runs or adapters, or the "
            f"name of a bundled one ({names})."
        )
    return entry


def usable_record(owner: str) -> Record:
    """The record this session classifies with: its newest trained adapter, or before any the bundled reference."""
    run = runs.latest(owner)
    return run.record if run else runs.record("reference")
