"""What rank was enough? A lane's changes cut to rank k, and the network asked again.

Each change is replaced by its nearest one of rank k (Eckart and Young 1936). Biases, norms, embeddings and head stay as trained,
so that k = 0 shows what they reach alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from lora_demo import datasets
from lora_demo.datasets import Split
from lora_demo.records import Record
from lora_demo.xray.changes import Weights, XRayError, read
from lora_demo.xray.evaluation import Evaluation, Score, spread

IMAGES = 500
LANES = ("full", "lora")
SMALL_RANKS = (0, 1, 2, 4, 8, 16, 32)


def curve(
    record: Record,
    ranks: Sequence[int] | None = None,
    images: int = IMAGES,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Score]:
    """Test accuracy of each lane with every change cut to rank k, for the k of `ranks`, as they come.

    `ranks`: 0, 1, 2, 4 ... 32 and the full rank where not given. A lane's last k is its own rank: there it is what was trained,
    bit for bit. Ends early once `should_stop`, asked between batches, says True. Raises `XRayError`: a k below 0, or a run that
    kept neither lane.
    """
    weights = read(record)
    lanes = [lane for lane in LANES if lane in weights.lanes]
    if not lanes:
        raise XRayError(
            f"Run {record.name!r} kept no weights of the full or the LoRA lane, so there is nothing to cut."
        )
    largest = {lane: max(change.rank for change in weights.lanes[lane].changes.values()) for lane in lanes}
    if ranks is None:
        ranks = [k for k in SMALL_RANKS if k < max(largest.values())] + [max(largest.values())]
    evaluation = Evaluation(weights.backbone, _test_images(record.settings.data, images), should_stop)
    done = set()
    for k in map(_checked, ranks):
        for lane in lanes:
            used = min(k, largest[lane])
            if (lane, used) in done:
                continue
            done.add((lane, used))
            accuracy = evaluation.accuracy(weights.trained(lane, used))
            if accuracy is None:
                return
            yield Score(lane, used, accuracy, len(evaluation.images))


def truncate(
    record: Record, k: int, layer: str | None = None, lanes: Sequence[str] = LANES, images: int = IMAGES
) -> dict[str, Score]:
    """Each lane's test accuracy with the change of `layer` alone, or of every layer, cut to rank k.

    Lanes that did not change the layer are left out. Raises `XRayError`: a k below 0, no such layer, or none of `lanes` changed
    it.
    """
    weights, k = read(record), _checked(k)
    lanes = [lane for lane in lanes if _cuts(weights, lane, layer)]
    if not lanes:
        raise XRayError(f"Run {record.name!r} changed nothing that could be cut{f' in {layer}' if layer else ''}.")
    evaluation = Evaluation(weights.backbone, _test_images(record.settings.data, images))
    accuracies = {lane: evaluation.accuracy(weights.trained(lane, k, layer)) for lane in lanes}
    return {lane: Score(lane, k, accuracy, len(evaluation.images)) for lane, accuracy in accuracies.items()}


def _cuts(weights: Weights, lane: str, layer: str | None) -> bool:
    if layer is not None:
        weights.frozen(layer)  # refuses a name that is no layer's
    return lane in weights.lanes and (layer is None or layer in weights.lanes[lane].changes)


def _checked(k: int) -> int:
    if isinstance(k, bool) or not isinstance(k, int | float) or not float(k).is_integer() or k < 0:
        raise XRayError(f"The rank k must be a whole number from 0 up, not {k!r}.")
    return int(k)


@lru_cache(maxsize=2)
def _test_images(data: str, count: int) -> Split:
    return spread(datasets.load(data).test, count)
