"""A corpus of malformed, hostile and odd adapters: each is refused in one sentence, or read as what it is."""

import json
import pickle
import random
import struct

import pytest
import safetensors.torch
import torch

from lora_demo import adapters
from lora_demo.adapters.folder import CLASSES, CONFIG, WEIGHTS

NAMES = ["dark", "bright", "other"]
A_KEY = adapters.PREFIX + "vit.layers.0.attention.q_proj.lora_A.weight"
B_KEY = A_KEY.replace("lora_A", "lora_B")
HEAD = adapters.PREFIX + "classifier."


def raw(header: dict | bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file byte by byte."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def described(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


WEIGHT_FILES = {
    "empty": (b"", "cut short"),
    "seven bytes": (b"\0" * 7, "cut short"),
    "a header longer than the file": (raw({}, length=10**6), "cut short"),
    "a header of 2^63 bytes": (raw({}, length=2**63), "cut short"),
    "a header over the limit": (
        raw(b'{"a":"' + random.Random(0).randbytes(500_001).hex().encode() + b'"}'),
        "at most 1,000,000",
    ),
    "a header that is no JSON": (raw(b"{not json"), "not JSON"),
    "a header that is no text": (raw(b"\xff\xfe\x00\x00"), "not JSON"),
    "a header that is a list": (raw(b"[1]"), "JSON object"),
    "a header nested deep": (raw(b'{"a":' * 50_000 + b"1" + b"}" * 50_000), "nested more than"),
    "nesting hidden behind brackets in strings": (raw(b'{"]]]]":' * 30 + b"1" + b"}" * 30), "nested more than"),
    "a tensor named twice": (
        raw(b'{"a":%b,"a":%b}' % ((json.dumps(described()).encode(),) * 2), b"\0" * 8),
        "twice",
    ),
    "a number of five thousand digits": (raw(b'{"a":' + b"9" * 5_000 + b"}"), "not JSON"),
    "NaN in the header": (raw(b'{"a":NaN}'), "NaN is no number"),
    "metadata that is no text": (raw({"__metadata__": {"a": 1}}), "metadata"),
    "metadata that is a list": (raw({"__metadata__": [1]}), "metadata"),
    "a tensor described by a number": (raw({"a": 7}), "can be read"),
    "integers": (raw({"a": described("I64")}, b"\0" * 8), "of type 'I64'"),
    "an unknown type": (raw({"a": described("F4_X2")}, b"\0" * 8), "of type"),
    "a negative side": (raw({"a": described(shape=(-2,))}, b"\0" * 8), "shape"),
    "a side that is no whole number": (raw({"a": described(shape=(2.5,))}, b"\0" * 8), "shape"),
    "a side that is true": (raw({"a": described(shape=(True,))}, b"\0" * 8), "shape"),
    "an empty tensor": (raw({"a": described(shape=(0,), offsets=(0, 0))}), "shape"),
    "no side": (raw({"a": described(shape=(), offsets=(0, 4))}, b"\0" * 4), "shape"),
    "five sides": (raw({"a": described(shape=(1, 1, 1, 1, 2))}, b"\0" * 8), "shape"),
    "more numbers than memory": (raw({"a": described(shape=(2**40, 2**40))}, b"\0" * 8), "shape"),
    "sides whose product overflows": (raw({"a": described(shape=(2**32, 2**32))}, b"\0" * 8), "shape"),
    "offsets beyond the file": (raw({"a": described(offsets=(0, 800), shape=(200,))}, b"\0" * 8), "damaged"),
    "offsets backwards": (raw({"a": described(offsets=(8, 0))}, b"\0" * 8), "damaged"),
    "offsets that are negative": (raw({"a": described(offsets=(-8, 0))}, b"\0" * 8), "damaged"),
    "two tensors on the same bytes": (raw({"a": described(), "b": described()}, b"\0" * 8), "damaged"),
    "bytes that no tensor owns": (raw({"a": described()}, b"\0" * 80), "damaged"),
    "too many tensors": (raw({f"t{i}": described() for i in range(2_001)}, b"\0" * 8), "at most 2,000"),
    "no tensor": (raw({}), "without its classifier"),
    "a pickle by another name": (pickle.dumps(["a pickle"]), "cut short"),
}


@pytest.mark.parametrize("case", WEIGHT_FILES)
def test_weights_that_are_malformed_are_refused(good, packed, refused, case):
    content, words = WEIGHT_FILES[case]
    refused(packed(good | {WEIGHTS: content}), words)


TENSORS = {
    "an infinity": (lambda t: t[B_KEY].fill_(torch.inf), "no numbers"),
    "a NaN in the head": (lambda t: t[HEAD + "bias"].fill_(torch.nan), "no numbers"),
    "no head": (lambda t: [t.pop(HEAD + name) for name in ("weight", "bias")], "without its classifier"),
    "a head without bias": (lambda t: t.pop(HEAD + "bias"), "without its classifier"),
    "a head that is a vector": (lambda t: t.update({HEAD + "weight": torch.ones(32)}), "without its classifier"),
    "a head of another width": (lambda t: t.update({HEAD + "weight": torch.ones(3, 768)}), r"\[3, 768\]"),
    "a head of two classes": (lambda t: t.update({HEAD + "weight": torch.ones(2, 32)}), "2 classes|shape"),
    "a B that is missing": (lambda t: t.pop(B_KEY), "lacks .*lora_B"),
    "a layer that is missing": (lambda t: [t.pop(A_KEY), t.pop(B_KEY)], "holds no numbers for it"),
    "a layer that is not named": (
        lambda t: t.update({A_KEY.replace("q_proj", "k_proj"): t[A_KEY]}),
        "does not name",
    ),
    "a layer the backbone lacks": (lambda t: t.update({A_KEY.replace("0", "9"): t[A_KEY]}), r"layers\.9"),
    "a key without PEFT's prefix": (lambda t: t.update({"vit.a": torch.ones(1)}), "no key of a PEFT adapter"),
    "a key left over": (lambda t: t.update({adapters.PREFIX + "vit.a": torch.ones(1)}), "no place for"),
    "a key with signs that move the cursor": (lambda t: t.update({"\x1b[2J\n": torch.ones(1)}), "no key of a PEFT"),
    "a very long key": (lambda t: t.update({"k" * 100_000: torch.ones(1)}), r"no key of a PEFT"),
    "another rank than it says": (lambda t: t.update({A_KEY: torch.ones(5, 32)}), r"\[5, 32\]"),
    "A lying on its side": (lambda t: t.update({A_KEY: torch.ones(32, 4)}), r"\[32, 4\]"),
    "a layer under both its names": (
        lambda t: t.update({A_KEY.replace("layers.0.attention.q_proj", "encoder.layer.0.attention.attention.query"): t[A_KEY]}),
        "twice",
    ),
    "magnitudes without DoRA": (
        lambda t: t.update({A_KEY.replace("lora_A.weight", "lora_magnitude_vector"): torch.ones(32)}),
        "no place for",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TENSORS)
def test_tensors_that_do_not_fit_are_refused_by_name(good, packed, refused, case):
    change, words = TENSORS[case]
    tensors = safetensors.torch.load(good[WEIGHTS])
    change(tensors)
    content = safetensors.torch.save({key: value.clone() for key, value in tensors.items()})
    refused(packed(good | {WEIGHTS: content}), words)


CONFIGS = {
    "another method": ({"peft_type": "IA3"}, "'IA3'"),
    "no method": ({"peft_type": None}, "type"),
    "a rank of zero": ({"r": 0}, "r must be"),
    "a rank of a million": ({"r": 10**6}, "r must be"),
    "a rank that is true": ({"r": True}, "r must be"),
    "a rank beyond the layer": ({"r": 200}, r"has shape|does not fit"),
    "an alpha of a text": ({"lora_alpha": "16"}, "lora_alpha"),
    "an alpha below zero": ({"lora_alpha": -1}, "lora_alpha"),
    "a flag that is a text": ({"use_dora": "yes"}, "use_dora"),
    "DoRA without magnitudes": ({"use_dora": True}, "lacks .*magnitude"),
    "targets that are a number": ({"target_modules": 5}, "target_modules"),
    "no targets": ({"target_modules": None}, "names no layers"),
    "a pattern that takes for ever": ({"target_modules": r"(.|.|.)*[!?]"}, "takes too long"),
    "a pattern that is broken": ({"target_modules": "(("}, "no pattern"),
    "a rank pattern that is broken": ({"rank_pattern": {"((": 2}}, "no pattern"),
    "a rank pattern that is a list": ({"rank_pattern": [1]}, "rank_pattern"),
    "an alpha pattern with a text": ({"alpha_pattern": {"q_proj": "big"}}, "alpha_pattern"),
    "a rank that the file does not have": ({"rank_pattern": {"q_proj": 2}}, "rank 2 was named"),
    "an unknown setting": ({"execute": "rm -rf"}, "'execute'"),
    "layers of a text": ({"layers_to_transform": "all"}, "layers_to_transform"),
    "a foreign layers pattern": ({"layers_pattern": "h"}, "layers_pattern"),
    "another backbone": ({"base_model_name_or_path": "google/vit-base-patch16-224"}, "'vit-base-patch16-224'"),
    "a backbone that is a path out": ({"base_model_name_or_path": "../../etc/passwd"}, "'passwd'"),
    "a backbone on the network": ({"base_model_name_or_path": "http://10.0.0.1/evil"}, "'evil'"),
    "weights split for quantising": ({"loftq_config": {"bits": 4}}, "loftq_config"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_configuration_that_cannot_be_followed_is_refused(good, packed, refused, case):
    change, words = CONFIGS[case]
    config = json.dumps(json.loads(good[CONFIG]) | change)
    refused(packed(good | {CONFIG: config}), words)


TEXTS = {
    "no JSON": (CONFIG, b"r: 8", "not JSON"),
    "too long": (CONFIG, b'{"a": "' + b" " * 300_000 + b'"}', "at most 256,000"),
    "too deep": (CONFIG, b"[" * 100_000, "nested"),
    "a name twice": (CONFIG, b'{"r": 4, "r": 400}', "twice"),
    "an infinity": (CONFIG, b'{"r": Infinity}', "no number"),
    "a list": (CONFIG, b"[]", "JSON object"),
    "classes that are broken": (CLASSES, b"{", "not JSON"),
    "classes in a list": (CLASSES, b'{"id2label": ["a", "b", "c"]}', "id2label"),
    "classes with a gap": (CLASSES, b'{"id2label": {"0": "a", "2": "b", "3": "c"}}', "gap"),
    "too few classes": (CLASSES, b'{"id2label": {"0": "a"}}', "3 classes apart, but 1"),
    "a class named twice": (CLASSES, b'{"id2label": {"0": "a", "1": "a", "2": "b"}}', "same name"),
    "a class without a name": (CLASSES, b'{"id2label": {"0": "", "1": "a", "2": "b"}}', "needs a name"),
    "a class that is a number": (CLASSES, b'{"id2label": {"0": 1, "1": "a", "2": "b"}}', "needs a name"),
    "a class with a line break": (CLASSES, b'{"id2label": {"0": "a\\nb", "1": "a", "2": "b"}}', "printable"),
    "a class with a long name": (
        CLASSES,
        json.dumps({"id2label": {"0": "a" * 101, "1": "a", "2": "b"}}).encode(),
        "longer than 100",
    ),
}


@pytest.mark.parametrize("case", TEXTS)
def test_json_that_is_malformed_is_refused(good, packed, refused, case):
    name, content, words = TEXTS[case]
    refused(packed(good | {name: content}), words)


ODD = {
    "in a folder": lambda good: {f"mine/v1/{name}": content for name, content in good.items()},
    "with a trainer's pickles beside it": lambda good: good | {"optimizer.pt": b"x", "training_args.bin": b"x"},
    "with a page and a picture": lambda good: good | {"README.md": b"# mine", "a.png": b"\x89PNG"},
    "with a class to import": lambda good: changed(good, {"auto_mapping": {"base_model_class": "os.system"}}),
    "with a newer PEFT's empty setting": lambda good: changed(good, {"use_tomorrow": False}),
    "in half precision": lambda good: good | {WEIGHTS: as_type(good[WEIGHTS], torch.float16)},
    "in bfloat16": lambda good: good | {WEIGHTS: as_type(good[WEIGHTS], torch.bfloat16)},
    "with names in other scripts": lambda good: good | {CLASSES: json.dumps({"id2label": dict(enumerate("猫犬鳥"))}).encode()},
}  # fmt: skip


def changed(good, config):
    return good | {CONFIG: json.dumps(json.loads(good[CONFIG]) | config).encode()}


def as_type(data, dtype):
    return safetensors.torch.save({key: value.to(dtype) for key, value in safetensors.torch.load(data).items()})


@pytest.mark.parametrize("case", ODD)
def test_what_is_only_odd_is_read(good, packed, backbone, case):
    adapter = adapters.read_file(packed(ODD[case](good)), backbone)
    expected = safetensors.torch.load(good[WEIGHTS])
    assert adapter.tensors.keys() == {key.removeprefix(adapters.PREFIX) for key in expected}
    for key, value in adapter.tensors.items():
        assert value.dtype == torch.float32
        assert torch.allclose(value, expected[adapters.PREFIX + key], rtol=1e-2)
