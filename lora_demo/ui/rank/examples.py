"""The row of examples: the domain's matrices and a photo; the photos come with Gradio."""

import numpy as np
from gradio.media import get_image
from PIL import Image

from lora_demo import matrices
from lora_demo.matrices import Example, Matrix, from_array

PHOTOS = {"tower": "tower.jpg", "cheetah": "cheetah.jpg", "lion": "lion.jpg"}
SIDE = 80  # pixels of the photo that is looked at as a matrix


def photo_path(name: str) -> str:
    """The file of an example photo."""
    return get_image(PHOTOS[name])


def _tower() -> Matrix:
    grey = Image.open(photo_path("tower")).convert("L")
    grey.thumbnail((SIDE, SIDE))
    return from_array(np.asarray(grey))


_PHOTO = Example(
    "photo",
    "photo",
    "A tower in grey, 0 is black: every direction is there, and a handful of them already shows the tower.",
    _tower,
)
# What a chip says in a narrow column, the first three as the notebook calls them; a chip not named here says its title.
LABELS = {
    "sum": "notebook A",
    "independent": "B",
    "multiples": "C",
    "zeros": "zeros",
    "identity": "identity",
    "permutation": "permutation",
    "triangular": "triangle",
    "magic": "magic",
    "hilbert": "Hilbert",
    "noise": "noise",
    "words": "words",
}
EXAMPLES: tuple[Example, ...] = (*matrices.EXAMPLES, _PHOTO)


def example(key: str) -> Example:
    """The example of this key; raises MatrixError where there is none."""
    return _PHOTO if key == _PHOTO.key else matrices.example(key)
