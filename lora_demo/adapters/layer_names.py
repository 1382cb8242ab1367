"""A ViT's layers by the names of transformers 4 and 5.

PEFT loads an adapter with the old keys under the new names without an error and with B = 0: silently the bare backbone. So keys
are renamed here, and then none may be missing or left over.
"""

from __future__ import annotations

import re

# In this order: `output.dense` is the end of `attention.output.dense` too.
NEW_NAMES = (
    (r"\bencoder\.layer\.", "layers."),
    (r"\battention\.attention\.query\b", "attention.q_proj"),
    (r"\battention\.attention\.key\b", "attention.k_proj"),
    (r"\battention\.attention\.value\b", "attention.v_proj"),
    (r"\battention\.output\.dense\b", "attention.o_proj"),
    (r"\bintermediate\.dense\b", "mlp.fc1"),
    (r"\boutput\.dense\b", "mlp.fc2"),
)
OLD_NAMES = (
    (r"\battention\.q_proj\b", "attention.attention.query"),
    (r"\battention\.k_proj\b", "attention.attention.key"),
    (r"\battention\.v_proj\b", "attention.attention.value"),
    (r"\battention\.o_proj\b", "attention.output.dense"),
    (r"\bmlp\.fc1\b", "intermediate.dense"),
    (r"\bmlp\.fc2\b", "output.dense"),
    (r"\bvit\.layers\.", "vit.encoder.layer."),
)


def new_name(key: str) -> str:
    """`key` as transformers 5 writes it: `vit.encoder.layer.0.attention.attention.query` -> `vit.layers.0.attention.q_proj`.

    A key of transformers 5 stays as it is.
    """
    return _renamed(key, NEW_NAMES) if "encoder.layer." in key else key


def both_names(name: str) -> tuple[str, str]:
    """The name of transformers 5 and that of transformers 4, for a layer named as in transformers 5."""
    return name, _renamed(name, OLD_NAMES)


def _renamed(text: str, names: tuple[tuple[str, str], ...]) -> str:
    for pattern, name in names:
        text = re.sub(pattern, name, text)
    return text
