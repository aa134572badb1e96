"""Texts are folded for comparing, and positions lead back to the original."""

import pytest

from streams.entities.folding import fold


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Goldman Sachs", "goldman sachs"),
        ("Nestlé\u2019s L\u2019Oréal", "nestle's l'oreal"),
        ("Coca\u2011Cola \u2013 Pepsi", "coca-cola - pepsi"),
        ("A  B\tC\nD\u00a0E", "a b c d e"),
        ("Te\u0301le\u0301fonica", "telefonica"),
        ("\uff29\uff22\uff2d ﬁnds", "ibm finds"),
        ("…ok", ".ok"),
        ("トヨタ", "トヨタ"),
        ("\uff84\uff96\uff80", "トヨタ"),
        ("İş", "is"),
        ("", ""),
    ],
)
def test_texts_are_compared_in_one_form(text: str, folded: str) -> None:
    """Lower case, composed, with plain quotes, hyphens and single spaces."""
    assert fold(text).text == folded


@pytest.mark.parametrize(
    ("text", "name", "original"),
    [
        ("Nestlé rises", "nestle", "Nestlé"),
        ("Now  Goldman   Sachs rises", "goldman sachs", "Goldman   Sachs"),
        ("So… Te\u0301le\u0301fonica\u2019s turn", "telefonica", "Te\u0301le\u0301fonica"),
        ("½ of \uff29\uff22\uff2d\u2019s staff", "ibm", "\uff29\uff22\uff2d"),
        ("Why Nestle\u2019s  up", "nestle", "Nestle"),
    ],
)
def test_a_place_in_the_folded_text_leads_back(text: str, name: str, original: str) -> None:
    """Whatever came before it and changed in length."""
    folded = fold(text)
    start = folded.text.index(name)
    first, last = folded.span(start, start + len(name))
    assert text[first:last] == original
