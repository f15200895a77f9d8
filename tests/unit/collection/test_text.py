"""What a sick device answers does not break the record, the log or the terminal."""

from __future__ import annotations

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import BadAnswer
from ansible_collections.palebluedot.gpu.plugins.module_utils.text import clean, printable


def test_ordinary_text_stays_as_it_is() -> None:
    text = "Größe: 8 × H100\n\tok"
    assert printable(text) == text


def test_nul_escapes_and_half_surrogates_are_replaced() -> None:
    assert printable("a\0b\x1b[2Jc\ud800d") == "a�b�[2Jc�d"


def test_an_error_carries_no_control_characters() -> None:
    error = BadAnswer("no JSON\0", answer="<html>\0{").as_dict()
    assert error["message"] == "no JSON�"
    assert error["answer"] == "<html>�{"


def test_values_are_cleaned_all_the_way_down() -> None:
    assert clean({"a\0": ["x\0", {"b": 5, "c": None}]}) == {"a�": ["x�", {"b": 5, "c": None}]}
