"""Questions are told by their marks, whatever the language."""

import pytest

from streams.lane.questions import asks


@pytest.mark.parametrize(
    "text",
    [
        "Is that so?",
        'He said "why?" and left.',
        "Really?! I had no idea.",
        "¿Cuánto cuesta?",
        "好吗\uff1f我们走。",
        "ما هذا؟",
        "What is it? I mean the second one.",
    ],
)
def test_a_question_mark_asks(text: str) -> None:
    """Wherever in the text it ends something."""
    assert asks(text) is True


@pytest.mark.parametrize(
    "text",
    [
        "We raised it to 3.5 percent.",
        "See https://a.example/?q=1 for more.",
        'That was "final".',
        "我们走。",
        "Never!",
    ],
)
def test_a_text_of_other_sentences_asks_nothing(text: str) -> None:
    """Question marks inside addresses are none."""
    assert asks(text) is False


@pytest.mark.parametrize("text", ["is that so", "we raised it to 3.5 percent", "a.example/?q=1"])
def test_what_is_not_punctuated_leaves_it_open(text: str) -> None:
    """Nothing is guessed from the words."""
    assert asks(text) is None
