"""English and Korean say the same things."""

import re

import pytest

from tests.tools.catalogue import OTHERS, ROOT, HiddenTextError, read, texts, texts_in
from twolayer.dashboard.i18n import plain, preferred, say, translator, unbroken
from twolayer.training.messages import Message


def catalogue(language: str) -> dict[str, str]:
    return {m.id: m.string for m in read(language) if m.id}


def places(text: str) -> set[str]:
    """The `{named}` places of a text, with their formats."""
    return set(re.findall(r"\{[^}]*\}", text))


def test_texts_are_found_in_the_code() -> None:
    assert len(texts()) > 500


def test_a_text_inside_an_f_string_is_found() -> None:
    source = """f"- {_('a')}: {N_('b')}"; Message.of("c" "d", x=_(LABELS[0])), AnError.of("e")"""
    assert list(texts_in(source)) == ["a", "b", "cd", "e"]


@pytest.mark.parametrize(
    "call", ['_(f"{n} runs")', '_("a" + b)', "N_(text)", "Message.of(form)", '_("a".format())']
)
def test_a_text_that_no_catalogue_can_have_is_refused(call: str) -> None:
    with pytest.raises(HiddenTextError):
        list(texts_in(call))


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_untranslated_and_nothing_is_left_over(language: str) -> None:
    translated = {text for text, string in catalogue(language).items() if string}
    assert set(texts()) == translated


@pytest.mark.parametrize("language", OTHERS)
def test_places_are_the_same(language: str) -> None:
    for text, string in catalogue(language).items():
        assert places(text) == places(string), text


def test_every_text_that_a_page_shows_is_marked() -> None:
    """Words in a call of Streamlit's must come through the translation."""
    calls = re.compile(
        r"""st\.(?:title|header|subheader|caption|markdown|info|warning|error|success|button|metric|toggle)"""
        r"""\(\s*f?["'][^"']*[A-Za-z]{2}"""
    )
    for path in [
        ROOT / "app.py",
        *(ROOT / "pages").glob("*.py"),
        *(ROOT / "twolayer/dashboard").rglob("*.py"),
    ]:
        assert not calls.findall(path.read_text(encoding="utf-8")), path


def test_a_message_is_said_in_korean_with_its_values_and_a_message_within() -> None:
    inner = Message.of("a whole number from {low} to {high}", low=1, high=9)
    outer = Message.of("{field}: invalid value {got}; expected {takes}", field="N", got="'<b>'", takes=inner)
    text = say(outer, translator("ko"))
    assert "1부터 9까지의 정수" in text
    assert "<b>" not in text


def test_plain_text_has_no_markdown_left() -> None:
    escaped = plain("*a* `b` <i>c</i> [d](e) :red[f] $g$ # h\n- i")
    assert re.sub(r"\\[!-/:-@\[-`{-~]", "", escaped).isalnum() is False
    assert not re.search(r"(?<!\\)[*`<\[\]$#:]", escaped)
    assert "\n" not in escaped


@pytest.mark.parametrize(("locale", "language"), [("ko-KR", "ko"), ("ko", "ko"), ("fr", "en"), (None, "en")])
def test_the_browsers_language_is_taken_where_it_is_there(locale: str | None, language: str) -> None:
    assert preferred(locale) == language


@pytest.mark.parametrize("language", [None, "", "xx", "../../../etc"])
def test_a_language_that_is_none_of_ours_is_english(language):
    assert translator(language)("Train") == "Train"


@pytest.mark.parametrize(
    ("text", "parts"), [("η = 1.5e-06.", ["η = 1.5e-", "06."]), ("2\\.4e\\-07", ["2\\.4e\\-", "07"])]
)
def test_a_number_is_not_broken_over_lines(text: str, parts: list[str]) -> None:
    assert unbroken(text).split("\N{WORD JOINER}") == parts
    assert unbroken("a well-known 12-hour day") == "a well-known 12-hour day"


def test_a_formula_is_not_broken_over_lines() -> None:
    assert unbroken("≈ 2/λmax: η ≈ 1") == "≈\N{NO-BREAK SPACE}2/\N{WORD JOINER}λmax: η ≈\N{NO-BREAK SPACE}1"


def test_a_korean_word_goes_on_after_a_bracket() -> None:
    end, words = re.compile("[)%](?=[가-힣])"), catalogue("ko")
    within = [text for text in words if end.search(words[text])]
    assert len(within) > 20
    for text in within:
        assert translator("ko")(text) == end.sub("\\g<0>\N{WORD JOINER}", words[text])
