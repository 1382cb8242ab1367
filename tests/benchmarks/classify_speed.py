"""What the Classify tab's answers cost on this machine: `python tests/benchmarks/classify_speed.py`.

Medians of nine, the bundled reference run, two threads where there are two cores.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PIL import Image

from lora_demo import classify, datasets, images, runs
from lora_demo.classify import Dial, attention, many
from lora_demo.examples import FOLDER
from lora_demo.units import seconds_text


def median_seconds(question, repeats: int = 9) -> float:
    """Of `question(i)`, asked once before to warm up."""
    question(-1)
    times = []
    for i in range(repeats):
        start = time.perf_counter()
        question(i)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    record = runs.record("reference")
    classifier, data = classify.load(record), datasets.load("bundled")
    image = images.open_image(str(FOLDER / "ship.png"))
    pixels, blocks = classify.seen(classifier.backbone, image), classifier.dialled.blocks
    folder = Path(tempfile.mkdtemp())
    files = [folder / f"{i}.jpg" for i in range(100)]
    for path, tile in zip(files, data.test.images, strict=False):
        Image.fromarray(tile.permute(1, 2, 0).numpy()).resize((640, 480)).save(path)
    label = classifier.classes.index("ship")
    questions = {
        "one image": lambda i: classifier.probabilities(image),
        "scale moved, all curves": lambda i: classifier.dialled.curves(pixels, Dial(scale=1 + i / 100)),
        "rank moved, all curves": lambda i: classifier.dialled.curves(pixels, Dial(scale=0.99, rank=max(i, 0))),
        "a block switched, all curves": lambda i: classifier.dialled.curves(
            pixels, Dial(scale=0.9 + i / 100, blocks=frozenset(blocks[1:]))
        ),
        "attention, base and adapted": lambda i: attention.base_and_adapted(classifier, pixels),
        "the same for a class": lambda i: attention.base_and_adapted(classifier, pixels, label),
    }
    for name, question in questions.items():
        print(f"{name:32} {seconds_text(median_seconds(question))}")
    slow = {
        "100 images of 640 x 480": lambda i: many.as_csv(many.classify_many(record, files)),
        "1,000 test images, one lane": lambda i: classifier.answers(data.test.images),
    }
    for name, question in slow.items():
        print(f"{name:32} {seconds_text(median_seconds(question, 3))}")


if __name__ == "__main__":
    main()
