import torch

from lora_demo import numerics


def test_the_slower_format_is_not_chosen(monkeypatch):
    numerics.fast_dtype.cache_clear()
    monkeypatch.setattr(numerics, "product_seconds", lambda dtype: {torch.float32: 1.0, torch.bfloat16: 0.3}[dtype])
    assert numerics.fast_dtype("cpu") == torch.bfloat16
    numerics.fast_dtype.cache_clear()
    monkeypatch.setattr(numerics, "product_seconds", lambda dtype: {torch.float32: 1.0, torch.bfloat16: 0.95}[dtype])
    assert numerics.fast_dtype("cpu") == torch.float32
    numerics.fast_dtype.cache_clear()


def test_short_sequences_in_bfloat16_on_a_cpu_avoid_the_fused_attention():
    assert numerics.fast_attention("cpu", torch.bfloat16, 65) == "eager"
    assert numerics.fast_attention("cpu", torch.bfloat16, 197) == "sdpa"
    assert numerics.fast_attention("cpu", torch.float32, 65) == "sdpa"
    assert numerics.fast_attention("cuda", torch.bfloat16, 65) == "sdpa"
