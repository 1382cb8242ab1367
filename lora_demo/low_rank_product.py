"""The product that makes a LoRA step quick: one large product each way, with gradients for x, A and B alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


class LowRankLinear(torch.autograd.Function):
    """h = x W^T + b, where W [out, in] is W0 + s B A already formed and W0 is constant.

    dx = dh W,  dA = (s B^T dh^T) x,  dB^T = (s A x^T) dh,  summed over tokens. Exact, and it needs neither the second pass
    over h [..., out] that adding s B A x takes nor the dW [out, in] that autograd would form for W.

    On an AVX2 core in fp32, all six linear layers of the bundled backbone, the whole step is 1.24 times as fast as with an
    addmm into the base output and 1.17 times as fast as with autograd's dW. The small factors lie as [r, tokens]: as
    [tokens, r] the step takes 1.17 times as long (tests/benchmarks/layer_speed.py). Under bf16 autocast W is rounded, which
    loses nothing that rounding W0 has not lost (tests/benchmarks/forming_in_bf16.py): over 40 steps the loss stays within
    0.005 of fp32's, as it does with the addmm, at the usual rate and at a thirtieth of it.
    """

    @staticmethod
    def forward(ctx, x: Tensor, W: Tensor, b: Tensor | None, A: Tensor, B: Tensor, s: float) -> Tensor:
        """x [..., in] and W [out, in] of one dtype -> h [..., out]; A [r, in] and B [out, r] may be finer."""
        ctx.s = s
        # A frozen A (LoRA-FA) never asks for x again: r numbers a token are kept instead of in (arXiv 2308.03303).
        kept = x if ctx.needs_input_grad[3] else s * A.to(x.dtype) @ _rows(x).T
        ctx.save_for_backward(kept, W, A, B)
        return F.linear(x, W, b)

    @staticmethod
    @once_differentiable
    def backward(ctx, dh: Tensor):
        """dh [..., out] -> gradients of x, A and B; None for what is frozen."""
        kept, W, A, B = ctx.saved_tensors
        needs_x, needs_A = ctx.needs_input_grad[0], ctx.needs_input_grad[3]
        dh_rows = _rows(dh)
        dx = (dh_rows @ W).unflatten(0, dh.shape[:-1]) if needs_x else None
        if not needs_A:
            return dx, None, None, None, (kept @ dh_rows).T.to(B.dtype), None
        x_rows = _rows(kept)
        dA = (ctx.s * B.T.to(dh.dtype) @ dh_rows.T) @ x_rows
        dB = (ctx.s * A.to(dh.dtype) @ x_rows.T) @ dh_rows
        return dx, None, None, dA.to(A.dtype), dB.T.to(B.dtype), None


def _rows(tensor: Tensor) -> Tensor:
    """[..., n] -> [tokens, n]."""
    return tensor.reshape(-1, tensor.shape[-1])
