"""The catalogues of translations and the texts of the code.

    python -m tests.tools.catalogue

Add the texts of the code that a catalogue lacks, untranslated, and remove those that the code no longer has.
Texts are found in the syntax tree, so that none is missed inside an f-string (on Python 3.11 Babel's
extractor does).
"""

import ast
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path

from babel.messages import Catalog
from babel.messages.pofile import read_po, write_po

from twolayer.dashboard.i18n import LANGUAGES, LOCALE

ROOT = Path(__file__).parents[2]
SOURCES = [
    ROOT / "app.py",
    *sorted((ROOT / "pages").glob("*.py")),
    *sorted((ROOT / "twolayer").rglob("*.py")),
]
OTHERS = [language for language in LANGUAGES if language != "en"]


class HiddenTextError(Exception):
    """A text that is put together in a call that marks it for translation."""


def texts_in(source: str) -> Iterator[str]:
    """The texts of `_("…")`, `N_("…")`, `Message.of("…", …)` and `AnError.of("…", …)` in a module, in order.

    `_(name)` translates what another call has marked. Raises `HiddenTextError` for a text that no catalogue
    can have.
    """
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args)
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        match call.func:
            case ast.Name("_" | "N_" as mark):
                pass
            case ast.Attribute(ast.Name(owner), "of" as mark) if owner.endswith(("Message", "Error")):
                pass
            case _:
                continue
        match call.args[0]:
            case ast.Constant(str(text)):
                yield text
            case ast.Name() | ast.Attribute() | ast.Subscript() if mark == "_":
                pass
            case _:
                raise HiddenTextError(f"line {call.lineno}: {ast.unparse(call)}")


@cache
def texts() -> list[str]:
    """Every text that the code marks for translation, in order."""
    return list(
        dict.fromkeys(text for path in SOURCES for text in texts_in(path.read_text(encoding="utf-8")))
    )


def path(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "messages.po"


def read(language: str) -> Catalog:
    """Read a catalogue."""
    with path(language).open("rb") as file:
        return read_po(file, locale=language)


def main() -> None:
    """Bring every catalogue up to date; print what it still lacks."""
    for language in OTHERS:
        old, new = read(language), Catalog(locale=language, fuzzy=False)
        new.header_comment, new.mime_headers = old.header_comment, old.mime_headers
        order = ["", *(message.id for message in old if message.id in texts())]
        for before, text in pairwise(["", *texts()]):
            if text not in order:
                order.insert(order.index(before) + 1, text)
        for text in order[1:]:
            new.add(text, old[text].string if text in old else "")
        written = BytesIO()
        write_po(written, new, width=0)
        path(language).write_bytes(written.getvalue().strip() + b"\n")
        for message in new:
            if not message.string:
                print(f"{language}: untranslated: {message.id}")


if __name__ == "__main__":
    main()
