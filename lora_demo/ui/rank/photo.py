"""A photo as a matrix, one a channel: how few directions still show what it is."""

import functools

import gradio as gr
import numpy as np
from PIL import Image

from lora_demo.figures.matrix import data_url
from lora_demo.matrices.photo import PhotoSVD, open_photo
from lora_demo.ui.edge import spoken
from lora_demo.ui.photo_input import PhotoInput
from lora_demo.ui.rank.events import LIGHT, QUEUED, said_in_place
from lora_demo.ui.rank.examples import PHOTOS, photo_path
from lora_demo.ui.rank.shelf import Shelf
from lora_demo.ui.section import section

# In numbers: the exact factors of ten photos of 2,000 x 2,000 in colour, 1 GB.
SHELF: Shelf[PhotoSVD] = Shelf(places=1, room=250_000_000, size=lambda svd: sum(f.size for f in [*svd.y, *svd.zt]))
WORDS = (
    "One matrix a colour channel, a number a pixel. Neighbouring rows are alike, so a few directions show most of it."
)
START, START_KEY, START_RANK = "tower", "start", 20
SHOWN_SIDE = 900  # pixels; a larger picture is sent smaller, its PSNR is that of all its pixels


def build() -> None:
    """The section: a photo in, k, the photo out of k directions, PSNR and storage."""
    heading = section("A photo is a matrix too", WORDS)
    with gr.Row():
        with gr.Column(scale=1, min_width=260, elem_classes="photo-controls"):
            upload = PhotoInput(label="Your photo", sources=["upload", "clipboard"], height=180, buttons=[])
            with gr.Row(elem_classes="chips"):
                chips = [(gr.Button(name, size="sm", elem_id=f"photo-{name}"), name) for name in PHOTOS]
            k = gr.Slider(
                0, 377, START_RANK, step=1, label="k, directions kept a channel", elem_id="photo-k", buttons=[]
            )
            told = gr.HTML(elem_id="photo-told")
        original = gr.HTML(elem_classes="photo", min_width=240)
        kept = gr.HTML(elem_classes="photo", elem_id="photo-kept", min_width=240)
    key = gr.State(START_KEY)
    outputs = [key, k, original, told, kept]
    heading.load(begun, k, [k, original, told, kept], **LIGHT)
    for button, name in chips:
        button.click(chosen, [gr.State(name), k], outputs, **QUEUED)
    upload.upload(opened, [upload, k], outputs, **QUEUED).success(
        sharpened, key, k, show_progress="hidden", api_visibility="private"
    ).success(moved, [key, k], [told, kept], **LIGHT)
    k.input(moved, [key, k], [told, kept], trigger_mode="always_last", **LIGHT)


@functools.cache
def decomposed(name: str) -> PhotoSVD:
    """The decomposed example; there are few of them, so each is decomposed once for everybody."""
    return open_photo(photo_path(name)).decompose()


def _shown(pixels: np.ndarray, words: str) -> str:
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    return f'<figure><img src="{data_url(image, "jpeg", quality=92)}" alt="{words}"><figcaption>{words}</figcaption></figure>'


def _kept(svd: PhotoSVD, k: int) -> list[str]:
    compressed = svd.at(k)
    h, w, _ = svd.photo.pixels.shape
    rough = "" if svd.method == "exact" else "<span>by a randomised SVD; the exact one is on its way</span>"
    psnr = "∞" if np.isinf(compressed.psnr) else f"{compressed.psnr:.1f}"
    share = compressed.stored / compressed.original
    facts = (
        f'<div class="facts"><span>{w} × {h}</span><span>PSNR <b>{psnr} dB</b></span>'
        f"<span>stored <b>{compressed.stored:,}</b> of {compressed.original:,} numbers, <b>{share:.1%}</b></span>{rough}"
        f"<span>{svd.photo.note}</span></div>"
    )
    return [facts, _shown(compressed.image, f"{k} of {min(h, w)} directions")]


def _all(svd: PhotoSVD, k: float) -> list:
    k = min(int(k), svd.max_rank)
    slider = gr.Slider(maximum=svd.max_rank, value=k)
    return [slider, _shown(svd.photo.pixels, "the photo"), *_kept(svd, k)]


def _of(key: str, request: gr.Request) -> PhotoSVD:
    return decomposed(START) if key == START_KEY else SHELF.get(request.session_hash, key)


def begun(k: float) -> list:
    """The first photo, when its section comes into view: decomposing it should not hold the page back."""
    return _all(decomposed(START), k)


@spoken
def chosen(name: str, k: float, request: gr.Request) -> list:
    svd = decomposed(name)
    return [SHELF.put(request.session_hash, svd), *_all(svd, k)]


@spoken
def opened(path: str, k: float, request: gr.Request) -> list:
    svd = open_photo(path).decompose()
    return [SHELF.put(request.session_hash, svd), *_all(svd, k)]


@spoken
def sharpened(key: str, request: gr.Request) -> gr.Slider:
    """The exact SVD in place of the randomised one, some seconds later, unless another photo has come meanwhile."""
    svd = _of(key, request)
    if svd.method == "exact":
        return gr.skip()
    svd = svd.photo.exact()
    return gr.Slider(maximum=svd.max_rank) if SHELF.swap(request.session_hash, key, svd) else gr.skip()


@said_in_place(2)
def moved(key: str, k: float, request: gr.Request) -> list:
    return _kept(_of(key, request), int(k))
