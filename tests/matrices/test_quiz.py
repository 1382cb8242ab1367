"""The quiz is fair: right answers, true reasons, the same game for the same seed."""

import numpy as np
import pytest

from lora_demo.matrices import MatrixError, quiz


def test_answers_are_the_ranks_and_reasons_say_them():
    for question in quiz(seed=1, rounds=50):
        assert question.answer == np.linalg.matrix_rank(question.matrix.values)
        assert question.answer in question.choices
        assert question.reason.startswith(f"Rank {question.answer} of ")


def test_the_same_seed_is_the_same_game_and_another_is_another():
    games = [[q.matrix.entries for q in quiz(seed)] for seed in (3, 3, 4)]
    assert games[0] == games[1] != games[2]


def test_one_game_asks_for_different_ranks():
    for seed in range(20):
        assert len({question.answer for question in quiz(seed)}) >= 3


def test_a_guess_is_judged_and_explained():
    question = quiz(seed=0)[0]
    right, sentence = question.check(question.answer)
    wrong, other = question.check(question.answer + 1)
    assert (right, wrong) == (True, False)
    assert sentence == f"Right. {question.reason}"
    assert other == f"Not {question.answer + 1}. {question.reason}"


@pytest.mark.parametrize(("seed", "rounds"), [(-1, 5), (0, 0), (0, 51)])
def test_an_impossible_game_is_refused(seed, rounds):
    with pytest.raises(MatrixError):
        quiz(seed, rounds)
