"""The named endpoints, for programs and tests: JSON in, JSON out. Everything else on the page is private."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
from PIL import Image

from lora_demo import images, matrices, runs
from lora_demo.events import to_dict
from lora_demo.settings import Settings
from lora_demo.ui.edge import spoken
from lora_demo.ui.photo_input import PhotoInput
from lora_demo.ui.session import usable_record


def build() -> None:
    """Register the endpoints; they have no visible part."""
    gr.api(spoken(analyze_matrix), api_name="analyze_matrix", queue=False)
    gr.api(spoken(low_rank), api_name="low_rank", queue=False)
    gr.api(spoken(train), api_name="train", concurrency_limit=None)
    with gr.Row(visible=False):
        image, adapter, scale = (
            PhotoInput(type="filepath", label="image"),
            gr.Textbox(None, label="adapter"),
            gr.Number(1.0, label="scale"),
        )
        result, ask = gr.JSON(label="answer"), gr.Button()
        whole, k, kept, figures = PhotoInput(label="image"), gr.Number(20, label="k"), gr.Image(format="png"), gr.JSON()
    ask.click(spoken(compress_image), [whole, k], [kept, figures], api_name="compress_image", concurrency_limit=2)
    ask.click(spoken(classify), [image, adapter, scale], result, api_name="classify", concurrency_limit=None)


def analyze_matrix(matrix: str, tolerance: float | None = None) -> dict[str, Any]:
    """Rank, singular values and what follows from them, of a matrix as a person types it."""
    analysis = matrices.analyze(matrices.parse(matrix), tolerance)
    condition = analysis.condition_number
    return {
        "shape": list(analysis.shape),
        "rank": analysis.numerical_rank,
        "tolerance": analysis.tolerance,
        "singular_values": analysis.singular_values.tolist(),
        "exact_rank": analysis.exact.rank if analysis.exact.certain else None,
        "relations": list(analysis.exact.relations),
        "nullity": analysis.nullity,
        "condition_number": condition if condition < float("inf") else None,
        "stable_rank": analysis.stable_rank,
        "effective_rank": analysis.effective_rank,
        "headline": analysis.headline(),
    }


def low_rank(matrix: str, k: int) -> dict[str, Any]:
    """The best approximation of rank k of a matrix as a person types it, its two factors, and what it loses."""
    kept = matrices.analyze(matrices.parse(matrix)).low_rank(_whole(k))
    return {
        "approximation": kept.approximation.tolist(),
        "frobenius_error": kept.frobenius_error,
        "spectral_error": kept.spectral_error,
        "Y": kept.y.tolist(),
        "Z": kept.zt.T.tolist(),
    }


def compress_image(image: str, k: float) -> tuple[Image.Image, dict[str, Any]]:
    """The photo of rank k in each channel, its PSNR in dB (null where nothing is lost), and how many numbers that stores."""
    from lora_demo.matrices.photo import open_photo

    svd = open_photo(image).decompose()
    k = _whole(k)
    if k > svd.max_rank:
        svd = svd.photo.exact()
    kept = svd.at(k)
    pixels = kept.image[:, :, 0] if kept.image.shape[2] == 1 else kept.image
    psnr = kept.psnr if kept.psnr < float("inf") else None
    return Image.fromarray(pixels), {"psnr": psnr, "stored": kept.stored, "original": kept.original}


def _whole(k: float) -> int:
    """k as a whole number; raises `MatrixError` for anything else."""
    if isinstance(k, bool) or not isinstance(k, int | float) or k != int(k):
        raise matrices.MatrixError(f"k must be a whole number, not {k!r}")
    return int(k)


async def train(settings: dict[str, Any], request: gr.Request) -> AsyncIterator[dict[str, Any]]:
    """Start a run and stream its events; `{}` means the defaults. Who stops listening ends the run."""
    run = runs.start(Settings.parse(settings), request.session_hash)
    async for new in runs.follow(run):
        for event in new:
            yield to_dict(event)


def classify(image: str, adapter: str | None, scale: float, request: gr.Request) -> dict[str, Any]:
    """Probabilities from a run's adapter (its id or name; none: this session's latest, before any the bundled one)."""
    from lora_demo import (
        classify as domain,
    )  # here: it brings torch and transformers, which the first page does not need

    record = runs.record(adapter) if adapter else usable_record(request.session_hash)
    scale = domain.checked_scale(scale)
    probabilities = domain.load(record).probabilities(images.open_image(image), scale)
    return {"label": next(iter(probabilities)), "probabilities": probabilities, "adapter": record.name, "scale": scale}
