"""The last layer of a ViT for the class token alone: the classifier reads no other token, so nobody computes them.

Keys and values still come from every token; query, output projection and MLP from one. The logits and every gradient stay what
they are; of the bundled backbone's products a seventh goes (tests/benchmarks/step_speed.py prints both).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.vit import ViTForImageClassification
from transformers.models.vit.modeling_vit import ViTLayer


class ClassTokenLayer(ViTLayer):
    """A ViT layer that answers for the first token alone: [n, tokens, width] -> [n, 1, width]."""

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, **_) -> Tensor:
        every, attention = self.layernorm_before(hidden_states), self.attention
        query, key, value = (
            projection(tokens).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
            for projection, tokens in (
                (attention.q_proj, every[:, :1]),
                (attention.k_proj, every),
                (attention.v_proj, every),
            )
        )
        read = F.scaled_dot_product_attention(query, key, value, attention_mask, scale=attention.scaling)
        first = hidden_states[:, :1] + attention.o_proj(read.transpose(1, 2).flatten(2))
        return first + self.mlp(self.layernorm_after(first))


def only_class_token(model: ViTForImageClassification) -> nn.Module:
    """Let `model`'s last layer compute the class token alone, in place; names and weights stay. Returns that layer.

    A model with dropout is left as it is: its random numbers would be drawn in another order.
    """
    last = model.vit.layers[-1]
    config = model.config
    if not (config.hidden_dropout_prob or config.attention_probs_dropout_prob):
        last.__class__ = ClassTokenLayer
    return last
