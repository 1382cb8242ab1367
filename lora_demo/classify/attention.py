"""Where a network looks: attention followed through all layers back to the patches of the image.

Rollout (Abnar and Zuidema 2020, arXiv 2005.00928, section 3): heads averaged, R = prod over layers of (A + I) / 2; the class
token's row. It knows no class. The gradient-weighted form does (Chefer et al. 2021, arXiv 2012.09838, equations 13 and 14, in the
form for self-attention that arXiv 2103.15679 gives in equations 5 and 6): heads are weighted by the positive part of the
gradient of a class's logit, A' = mean over heads of (dy_c/dA * A)^+, and R = prod over layers of (I + A').
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from lora_demo import lora
from lora_demo.classify.classifier import Classifier


def rollout(attentions: Tensor) -> Tensor:
    """Attention weights [layers, heads, tokens, tokens] -> [tokens, tokens]; every row sums to 1."""
    eye = torch.eye(attentions.shape[-1])
    return _product((attentions.mean(1) + eye) / 2)


def weighted_rollout(attentions: Tensor, gradients: Tensor) -> Tensor:
    """Attention weights and a class's gradients for them, both [layers, heads, tokens, tokens] -> relevance [tokens, tokens]."""
    eye = torch.eye(attentions.shape[-1])
    return _product(eye + (gradients * attentions).clamp(min=0).mean(1))


def where(classifier: Classifier, pixels: Tensor, scale: float = 1.0, label: int | None = None) -> Tensor:
    """Where the classifier looks in an image [1, 3, h, w]: shares [rows, columns] of the patches, which sum to 1.

    Args:
        scale: the adapter's; 0 is the frozen backbone under the run's head, 1 as trained.
        label: number of a class: what speaks for it, by the gradient-weighted form; without it plain rollout.

    Where nothing in the image speaks for the class, all shares are 0.
    """
    attentions, gradients = attention_of(classifier, pixels, scale, label)
    relevance = rollout(attentions) if gradients is None else weighted_rollout(attentions, gradients)
    patches = relevance[0, 1:]
    rows, columns = (side // classifier.model.config.patch_size for side in classifier.backbone.image_size)
    total = patches.sum()
    return (patches / total if total > 0 else patches).view(rows, columns)


def base_and_adapted(classifier: Classifier, pixels: Tensor, label: int | None = None) -> dict[str, Tensor]:
    """`where` for the frozen backbone under the run's head and for the network as trained."""
    return {name: where(classifier, pixels, scale, label) for name, scale in (("base", 0.0), ("adapted", 1.0))}


def attention_of(
    classifier: Classifier, pixels: Tensor, scale: float, label: int | None
) -> tuple[Tensor, Tensor | None]:
    """Attention weights of an image [1, 3, h, w], and with a `label` the gradients of its logit for them.

    Both [layers, heads, tokens, tokens].
    """
    model = _eager(classifier.model, scale)
    with torch.set_grad_enabled(label is not None):
        out = model(pixel_values=pixels.clone().requires_grad_(label is not None), output_attentions=True)
    attentions = torch.stack([one[0] for one in out.attentions]).detach()
    if label is None:
        return attentions, None
    gradients = torch.autograd.grad(out.logits[0, label], out.attentions)
    return attentions, torch.stack([one[0] for one in gradients])


def _eager(model: nn.Module, scale: float) -> nn.Module:
    """A copy that shares the weights and tells its attention, which the fused kernels do not."""
    model = copy.deepcopy(model, {id(p): p for p in model.parameters()})
    model.set_attn_implementation("eager")
    for layer in lora.adapted_layers(model).values():
        layer.strength = scale
    return model


def _product(layers: Tensor) -> Tensor:
    """layers[-1] @ ... @ layers[0]: from the last layer back to the image."""
    result = layers[0]
    for layer in layers[1:]:
        result = layer @ result
    return result
