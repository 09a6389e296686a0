"""Written lines as a short text for an address, and back. What comes from an address is not trusted."""

import base64
import json
import zlib
from collections.abc import Mapping

from twolayer.backprop.expressions import LONGEST_LINE
from twolayer.training.program import STEPS

LONGEST_PACKED = 2000
MOST_BYTES = 16_000
"""The most that a text may unpack to: a small one could unpack to gigabytes."""


def pack(lines: Mapping[str, str]) -> str:
    """Return lines as a text; empty if there are none, or it would have over `LONGEST_PACKED` characters."""
    written = {value: line for value, line in lines.items() if line}
    if not written:
        return ""
    data = zlib.compress(json.dumps(written, separators=(",", ":")).encode(), 9)
    text = base64.urlsafe_b64encode(data).decode().rstrip("=")
    return text if len(text) <= LONGEST_PACKED else ""


def unpack(text: str) -> dict[str, str]:
    """Return the lines of a text by value. Raises `ValueError` for a text that `pack` cannot have made."""
    if not text:
        return {}
    if len(text) > LONGEST_PACKED or not text.isascii():
        raise ValueError
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, MOST_BYTES)
    except zlib.error:
        raise ValueError from None
    if not stream.eof or stream.unused_data:
        raise ValueError
    try:
        lines = json.loads(content)
        json.dumps(lines, ensure_ascii=False).encode()  # half of a surrogate pair is no text for a browser
    except RecursionError:
        raise ValueError from None
    if not isinstance(lines, dict) or not all(
        value in STEPS and isinstance(line, str) and len(line) <= LONGEST_LINE
        for value, line in lines.items()
    ):
        raise ValueError
    return {value: "; ".join(line.splitlines()) for value, line in lines.items()}
