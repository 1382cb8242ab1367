"""What was forgotten? The backbone's own head put back on a lane's weights, and its old task asked again.

"LoRA Learns Less and Forgets Less" (Biderman et al. 2024, arXiv 2405.09673) measures forgetting as what is lost on the task
that came before. Here that is Tiny-ImageNet (assets/tiny-imagenet), the bundled backbone's 200 classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image

from lora_demo.datasets import Split
from lora_demo.examples import ASSETS, TINY_PER_CLASS, TINY_PER_ROW
from lora_demo.records import Record
from lora_demo.xray.changes import XRayError, read
from lora_demo.xray.evaluation import Evaluation, Score

FROZEN = "frozen"  # the backbone before training
TILE = 64  # pixels, both ways


def forgetting(
    record: Record, images: Split | None = None, should_stop: Callable[[], bool] = lambda: False
) -> Iterator[Score]:
    """Accuracy on the backbone's own task: first of the backbone as it came ("frozen"), then of every lane, as they come.

    `images`: of the backbone's own classes; Tiny-ImageNet's validation images where not given, which only the bundled backbone
    was trained for. The head lane is not asked: it leaves the backbone alone. Ends early once `should_stop` says True. Raises
    `XRayError`: no images of the backbone's own task are known, or the run kept no weights.
    """
    if images is None:
        if record.settings.backbone != "bundled":
            raise XRayError(
                f"What was forgotten is measured for the bundled backbone alone: of {record.settings.backbone!r} no images of "
                "its own classes are at hand."
            )
        images = tiny_imagenet()
    weights = read(record)
    evaluation = Evaluation(weights.backbone, images, should_stop)
    for lane in (FROZEN, *(lane for lane in weights.lanes if lane != "head")):
        trained = {} if lane == FROZEN else weights.trained(lane)
        accuracy = evaluation.accuracy({k: v for k, v in trained.items() if not k.startswith("classifier.")})
        if accuracy is None:
            return
        yield Score(lane, None, accuracy, len(images))


def tiny_imagenet() -> Split:
    """1,000 validation images of Tiny-ImageNet, five of each class, in the order of the bundled backbone's classes."""
    with Image.open(ASSETS / "tiny-imagenet" / "val.jpg") as sheet:
        pixels = torch.from_numpy(np.array(sheet.convert("RGB")))
    tiles = pixels.unflatten(0, (-1, TILE)).unflatten(2, (TINY_PER_ROW, TILE)).permute(0, 2, 4, 1, 3).flatten(0, 1)
    return Split(tiles.contiguous(), torch.arange(len(tiles)) // TINY_PER_CLASS)
