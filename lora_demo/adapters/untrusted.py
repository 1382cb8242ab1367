"""Bytes that a stranger sent: JSON and safetensors are measured before they are parsed, and pickles never are.

A safetensors file is 8 bytes of header length, a JSON header and raw numbers; nothing in it runs. A pickle (.bin, .pt) is a
program. See https://huggingface.co/docs/safetensors, "Format".
"""

from __future__ import annotations

import json
import math
import os
import re
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from lora_demo.adapters.adapter import AdapterError

MAX_BYTES = int(os.environ.get("LORA_LAB_MAX_ADAPTER_MB", "256")) * 1_000_000
MAX_JSON_BYTES = 256_000
MAX_HEADER_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_TENSORS = 2_000
DTYPES = ("F32", "F16", "BF16")
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


def quoted(value: object) -> str:
    """A stranger's word in quotes, on one line and short."""
    text = str(value)
    return repr(text if len(text) <= 80 else text[:77] + "...")


def read_json(data: bytes, name: str, limit: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """A JSON object from at most `limit` bytes. Raises `AdapterError`: too long, too deep, a name twice, NaN, no object."""
    if len(data) > limit:
        raise AdapterError(f"{name} is {len(data):,} bytes long; at most {limit:,} are read.")
    try:
        text = data.decode("utf-8")
        if _depth(text) > MAX_DEPTH:
            raise _Unfit(f"it is nested more than {MAX_DEPTH} deep")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except _Unfit as error:
        raise AdapterError(f"{name} cannot be used: {error}.") from None
    except ValueError:
        raise AdapterError(f"{name} is not JSON, or it is damaged.") from None
    if not isinstance(value, dict):
        raise AdapterError(f"{name} must hold a JSON object.")
    return value


def read_safetensors(data: bytes, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors, in fp32, and the metadata of a safetensors file. Raises `AdapterError` where it is anything else."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise AdapterError(f"{name} is no safetensors file, or it is cut short.")
    header = read_json(data[8 : 8 + length], f"The header of {name}", MAX_HEADER_BYTES)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise AdapterError(f"The metadata of {name} must be texts.")
    if len(header) > MAX_TENSORS:
        raise AdapterError(f"{name} holds {len(header):,} tensors; at most {MAX_TENSORS:,} are read.")
    for key, described in header.items():
        _check_described(key, described)
    try:
        tensors = safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, RuntimeError):
        raise AdapterError(f"{name} is damaged: its header does not fit its numbers.") from None
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise AdapterError(f"{quoted(key)} holds values that are no numbers.")
    return {key: tensor.to(torch.float32) for key, tensor in tensors.items()}, metadata


def _check_described(key: str, described: object) -> None:
    if not isinstance(described, dict):
        raise AdapterError(f"The header says nothing of {quoted(key)} that can be read.")
    dtype, shape = described.get("dtype"), described.get("shape")
    if dtype not in DTYPES:
        raise AdapterError(f"{quoted(key)} is of type {quoted(dtype)}; {', '.join(DTYPES)} are read.")
    whole = isinstance(shape, list) and all(type(side) is int and side > 0 for side in shape)
    if not whole or not 1 <= len(shape) <= 2 or math.prod(shape) > MAX_BYTES:
        raise AdapterError(f"{quoted(key)} has shape {quoted(shape)}; an adapter holds vectors and matrices.")


class _Unfit(ValueError):
    """JSON that could be parsed, but not safely or not to one meaning."""


def _depth(text: str) -> int:
    """How deep brackets nest outside strings: counted first, for the parser calls itself once a level."""
    depth = deepest = 0
    for sign in re.findall(r"[][{}]", re.sub(r'"(?:[^"\\]|\\.)*"', "", text)):
        depth += 1 if sign in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise _Unfit("it gives a name twice")
    return values


def _no_constant(name: str) -> float:
    raise _Unfit(f"{name} is no number")
