import subprocess
import sys

import pytest

from lora_demo.xray.explanations import EXPLANATIONS


@pytest.mark.parametrize("view", EXPLANATIONS)
def test_every_view_has_two_sentences_and_all_that_goes_with_them(view):
    words = EXPLANATIONS[view]
    assert words.words.rstrip().endswith(".")
    assert words.words.count(". ") == 1
    assert all([words.title, words.formula, words.source, words.by_chance])


def test_the_words_and_the_charts_need_no_torch():
    imported = "from lora_demo.xray import explanations; from lora_demo.figures import xray, xray_accuracy"
    check = f"import sys; {imported}; assert not {{'torch', 'transformers', 'gradio'}} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", check], check=True)
