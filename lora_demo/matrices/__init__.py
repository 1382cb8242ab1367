"""Rank and SVD: from pasted text to exact, numerical and denoised rank, and the best approximation of each rank."""

from lora_demo.matrices.analysis import Analysis, Denoised, LoRABridge, LowRank, analyze
from lora_demo.matrices.descent import Descent
from lora_demo.matrices.exact import Exact, Why, exact_rank
from lora_demo.matrices.examples import EXAMPLES, Example, example, generate, noisy_signal
from lora_demo.matrices.files import SUFFIXES, read_file
from lora_demo.matrices.matrix import MAX_SIDE, Matrix, MatrixError, from_array, to_text
from lora_demo.matrices.parsing import parse
from lora_demo.matrices.quiz import Question, quiz

__all__ = [
    "EXAMPLES",
    "MAX_SIDE",
    "SUFFIXES",
    "Analysis",
    "Denoised",
    "Descent",
    "Exact",
    "Example",
    "LoRABridge",
    "LowRank",
    "Matrix",
    "MatrixError",
    "Question",
    "Why",
    "analyze",
    "exact_rank",
    "example",
    "from_array",
    "generate",
    "noisy_signal",
    "parse",
    "quiz",
    "read_file",
    "to_text",
]
