"""The experiments of the LoRA layer tab: counts, one live layer, the injection, the promises and the corrections."""
