"""English and Korean: gettext catalogues, read with Babel from their text form.

The English texts in the code are the keys. A catalogue is `locale/<language>/LC_MESSAGES/messages.po`;
nothing has to be compiled.
"""

import re
from collections.abc import Callable
from functools import cache
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

import streamlit as st
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from twolayer.training.messages import Message

LANGUAGES = {"en": "English", "ko": "한국어"}
LOCALE = Path(__file__).parent / "locale"
_WITHIN_WORD = re.compile(r"(?<=[)%])(?=[가-힣])")
"""Where a browser would end a line though the word goes on."""


def _(text: str) -> str:
    """Return `text` in the language of the visitor whose page is being drawn.

    Only for code that a page or one of its callbacks runs: anything that runs later gets its texts before.
    """
    return translator(st.session_state.get("lang"))(text)


def translator(language: str | None) -> Callable[[str], str]:
    """Return the translation into `language`; texts stay as they are for English and for anything that is
    not one of `LANGUAGES`. No line of it ends within a Korean word such as 함수(f)는."""
    return _catalogue(language if language in LANGUAGES else "en")


@cache
def _catalogue(language: str) -> Callable[[str], str]:
    if language == "en":
        return str
    compiled = BytesIO()
    with (LOCALE / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language, domain="messages"))
    compiled.seek(0)
    translate = GNUTranslations(compiled).gettext
    return lambda text: _WITHIN_WORD.sub("\N{WORD JOINER}", translate(text))


def say(message: Message, translate: Callable[[str], str] = _) -> str:
    """Return a library's message in the visitor's language, safe to show as Markdown."""

    def shown(value: Any) -> Any:
        if isinstance(value, Message):
            return say(value, translate)
        return plain(value) if isinstance(value, str) else value

    return translate(message.template).format(**{name: shown(value) for name, value in message.values})


def plain(text: str) -> str:
    """`text` so that Markdown shows it as it is: no emphasis, no link, no HTML, no directive."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text).replace("\n", " ")


def unbroken(text: str) -> str:
    """`text` in which no line ends within 1.5e-06 or 2/λmax, between a number and µs, or after ≈."""
    text = re.sub(r"(\de\\?-)(?=\d)|(\d/)(?=[ηλ])", "\\g<0>\N{WORD JOINER}", text)
    return re.sub(r"(?<=\d) (?=µs)|(?<=≈) ", "\N{NO-BREAK SPACE}", text)


def preferred(locale: str | None) -> str:
    """The language to begin with, for a browser's locale such as `ko-KR`."""
    language = (locale or "en").split("-")[0].lower()
    return language if language in LANGUAGES else "en"
