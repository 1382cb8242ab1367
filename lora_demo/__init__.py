"""LoRA Lab: see what a low-rank update is, train one, and use it."""
