"""Adapters in PEFT's format: written so that PEFT loads them, read so that nothing loads silently wrong."""

from lora_demo.adapters.adapter import Adapter, AdapterError, apply, from_model
from lora_demo.adapters.folder import CLASSES, CONFIG, PREFIX, WEIGHTS, load, save
from lora_demo.adapters.importing import ClassNamesMissing, class_name_offers, read_file
from lora_demo.adapters.untrusted import MAX_BYTES

__all__ = [
    "CLASSES",
    "CONFIG",
    "MAX_BYTES",
    "PREFIX",
    "WEIGHTS",
    "Adapter",
    "AdapterError",
    "ClassNamesMissing",
    "apply",
    "class_name_offers",
    "from_model",
    "load",
    "read_file",
    "save",
]
