"""Take home what a run trained: a PEFT folder, a whole transformers model, or an ONNX file."""

from lora_demo.exports.merged import merged_model, merged_zip
from lora_demo.exports.model_card import model_card
from lora_demo.exports.onnx_file import onnx_file
from lora_demo.exports.peft_folder import peft_zip

__all__ = ["merged_model", "merged_zip", "model_card", "onnx_file", "peft_zip"]
