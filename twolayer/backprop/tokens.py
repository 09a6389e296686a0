"""The words and signs that a line may have: everything else is refused before Python's parser sees it."""

import re

from twolayer.backprop.spelling import instead
from twolayer.backprop.terms import LineError
from twolayer.training.messages import Message, shown

_TOKEN = re.compile(
    r"\s+|[A-Za-z_][A-Za-z0-9_]{0,39}(?![A-Za-z0-9_\x80-\U0010ffff])"
    r"|(\d{1,15}\.?\d{0,15}|\.\d{1,15})([eE][+-]?\d{1,2})?(?![A-Za-z0-9_.])"
    r"|\*\*|[<>=!]=|[-+*/@(),.<>=\[\];]",
    re.ASCII,
)


def check_tokens(text: str, dialect: str) -> None:
    """Raise `LineError` at the first sign that is none of the language's."""
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            met = re.match(r"[\w.]+|.", text[at:], re.DOTALL)
            word = met[0] if met else text[at]
            raise LineError(
                Message.of(
                    "{met} is not part of this language. {instead}",
                    met=shown(word),
                    instead=instead(word, dialect),
                ),
                (at, at + len(word)),
            )
        at = found.end()
