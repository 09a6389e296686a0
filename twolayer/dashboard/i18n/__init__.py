"""English and Korean: gettext catalogues, read with Babel from their text form.

The English texts in the code are the keys. A catalogue is `locale/<language>/LC_MESSAGES/messages.po`;
nothing has to be compiled.
"""

import re
from collections.abc import Callable
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from twolayer.training.messages import Message

Translate = Callable[[str], str]

LANGUAGES = {"en": "English", "ko": "한국어"}
LOCALE = Path(__file__).parent / "locale"

KEYWORDS: dict[str, Any] = {"_": None, "N_": None, "of": None}
"""What marks a text for translation in the code: `_("…")`, `N_("…")` and `Message.of("…", …)`."""


def translator(language: str | None) -> Translate:
    """The translation of texts into `language`; the texts themselves for English, and for whatever else a
    browser may have sent."""
    return _catalogue(language if language in LANGUAGES else "en")


@cache
def _catalogue(language: str) -> Translate:
    translations: NullTranslations = NullTranslations()
    path = LOCALE / language / "LC_MESSAGES" / "messages.po"
    if language != "en":
        compiled = BytesIO()
        with path.open("rb") as file:
            write_mo(compiled, read_po(file, locale=language, domain="messages"))
        compiled.seek(0)
        translations = GNUTranslations(compiled)
    return translations.gettext


def say(_: Translate, message: Message) -> str:
    """A library's message in the reader's language, safe to show as Markdown."""
    values = {
        name: say(_, value)
        if isinstance(value, Message)
        else plain(value)
        if isinstance(value, str)
        else value
        for name, value in message.values
    }
    return _(message.template).format(**values)


def plain(text: str) -> str:
    """`text` so that Markdown shows it as it is: no emphasis, no link, no HTML, no directive."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text).replace("\n", " ")


def preferred(locale: str | None) -> str:
    """The language to begin with, for a browser's locale such as `ko-KR`."""
    language = (locale or "en").split("-")[0].lower()
    return language if language in LANGUAGES else "en"
