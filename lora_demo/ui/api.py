"""The named endpoints, for programs and tests: JSON in, JSON out. Everything else on the page is private."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
from PIL import Image

from lora_demo import images, jobs, library, matrices, runs
from lora_demo.events import to_dict
from lora_demo.settings import Settings
from lora_demo.ui.classify.adapters import peft_file
from lora_demo.ui.edge import spoken
from lora_demo.ui.photo_input import PhotoInput
from lora_demo.ui.session import found, library_of, usable_record
from lora_demo.ui.xray.looked_at import record_of


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
        rank, lanes = gr.Number(None, label="rank"), gr.Checkbox(False, label="lanes")
        file, classes = gr.File(label="file"), gr.JSON(None, label="classes")
        name, exported = gr.Textbox(label="name"), gr.File(label="PEFT folder in a zip")
        result, ask = gr.JSON(label="answer"), gr.Button()
        whole, k, kept, figures = PhotoInput(label="image"), gr.Number(20, label="k"), gr.Image(format="png"), gr.JSON()
    ask.click(spoken(compress_image), [whole, k], [kept, figures], api_name="compress_image", concurrency_limit=2)
    question = [image, adapter, scale, rank, lanes]
    ask.click(spoken(classify), question, result, api_name="classify", concurrency_limit=None)
    gr.api(spoken(xray), api_name="xray", concurrency_limit=2)
    gr.api(spoken(truncate), api_name="truncate", concurrency_limit=2)
    gr.api(spoken(adapters), api_name="adapters", concurrency_limit=None)
    ask.click(spoken(import_adapter), [file, classes], result, api_name="import_adapter", concurrency_limit=2)
    ask.click(spoken(export_adapter), name, exported, api_name="export_adapter", concurrency_limit=2)


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


def classify(
    image: str, adapter: str | None, scale: float, rank: float | None = None, lanes: bool = False,
    request: gr.Request = None,
) -> dict[str, Any]:  # fmt: skip
    """Probabilities from an adapter of this session's library (none: its latest run's, before any the bundled one).

    `rank` singular directions of the adapter are kept, without it all. With `lanes` the answer also holds what every lane says:
    its plain softmax, and calibrated probabilities, null where the held-out images to calibrate on are not here.
    """
    # Imported here: it brings torch and transformers, which the first page does not need.
    from lora_demo import classify as domain
    from lora_demo.classify.held_out import calibrated

    owner = request.session_hash
    record = found(adapter, owner).record if adapter else usable_record(owner)
    scale, opened = domain.checked_scale(scale), images.open_image(image)
    probabilities = domain.load(record).probabilities(opened, scale, rank)
    answer = {
        "label": next(iter(probabilities)),
        "probabilities": probabilities,
        "adapter": record.name,
        "scale": scale,
    }
    if not lanes:
        return answer
    told = {
        lane: {"label": next(iter(said)), "probabilities": said, "calibrated": calibrated(record, lane, said)}
        for lane, said in domain.compare(record, opened, scale, rank).items()
    }
    return answer | {"lanes": told}


def adapters(request: gr.Request) -> list[dict[str, Any]]:
    """This session's adapters: its runs', those it has imported, the bundled ones; `id` is what the other endpoints take."""
    return library.compare(library_of(request.session_hash))


def import_adapter(file: str, classes: list[str] | None = None, request: gr.Request = None) -> dict[str, Any]:
    """Take in an adapter that PEFT wrote, a zip or a safetensors; `classes` names its classes where nothing beside it does.

    `name` in the answer is what `/classify` and `/export_adapter` take.
    """
    entry = library.import_file(file, request.session_hash, classes=classes)
    facts = library.compare([entry])[0]
    return facts | {"name": entry.id, "title": entry.name}


def export_adapter(name: str, request: gr.Request) -> str:
    """A zip of the adapter's PEFT folder: its configuration, its weights, its class names and a model card."""
    return peft_file(found(name, request.session_hash))


async def xray(run_id: str) -> dict[str, Any]:
    """What a run (its id, or the name of a bundled one) did to every layer: spectra, ranks, overlaps, intruders."""
    return (await jobs.result("lora_demo.xray.report", "xray", record_of(run_id))).as_dict()


async def truncate(run_id: str, k: float) -> dict[str, Any]:
    """Accuracy of each lane on 500 test images with every layer's change cut to rank k."""
    scores = await jobs.result("lora_demo.xray.truncation", "truncate", record_of(run_id), _whole(k))
    return {"accuracy": {lane: score.accuracy for lane, score in scores.items()}}
