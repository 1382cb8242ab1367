"""What a trained adapter, and the lanes it raced against, say about an image. Answers are computed in fp32."""

from lora_demo.classify.classifier import (
    MAX_SCALE,
    Classifier,
    ClassifyError,
    checked_scale,
    compare,
    load,
    resized,
    seen,
    weights_id,
)
from lora_demo.classify.dials import AS_TRAINED, Dial, DialError, Dialled

__all__ = [
    "AS_TRAINED",
    "MAX_SCALE",
    "Classifier",
    "ClassifyError",
    "Dial",
    "DialError",
    "Dialled",
    "checked_scale",
    "compare",
    "load",
    "resized",
    "seen",
    "weights_id",
]
