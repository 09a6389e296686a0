"""What a page of Streamlit's test runner shows: the data of its charts, the figures in its sentences."""

import base64
import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

from twolayer.dashboard.i18n import translator


def chart(page: AppTest, key: str) -> dict[str, Any]:
    """The data that the browser is sent for a chart, its arrays unpacked."""
    (found,) = [part for part in page.get("bidi_component") if part.key == key]
    sent: dict[str, Any] = unpacked(json.loads(found.proto.bytes))
    return sent


def unpacked(value: Any) -> Any:
    """JSON with NumPy arrays where it has Plotly's typed arrays."""
    if isinstance(value, dict) and "bdata" in value:
        array: NDArray[Any] = np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"])
        return array.reshape([int(size) for size in value.get("shape", f"{array.size}").split(",")])
    if isinstance(value, dict):
        return {name: unpacked(one) for name, one in value.items()}
    return [unpacked(one) for one in value] if isinstance(value, list) else value


def said(page: AppTest) -> str:
    """Every text of the page, without the backslashes of Markdown."""
    kinds = (page.error, page.warning, page.info, page.success, page.markdown, page.caption)
    return "\n".join(box.value for boxes in kinds for box in boxes).replace("\\", "")


def figures(page: AppTest, sentence: str, language: str) -> dict[str, str]:
    """What stands in the places of a sentence of the page, which is given in English."""
    parts = re.split(r"\{(\w+)(?::[^}]*)?\}", translator(language)(sentence).replace("\\", ""))
    pattern = "".join(
        re.escape(part) if not at % 2 else f"(?P={part})" if part in parts[1:at:2] else f"(?P<{part}>.+?)"
        for at, part in enumerate(parts)
    )
    pattern += r"(?!\w)" if parts[-1] else "$"  # the end of a number is no full stop in it
    found = re.search(pattern, said(page), re.MULTILINE)
    assert found, f"the page does not say {pattern}"
    return found.groupdict()


def number(text: str) -> float:
    """A number as it is written for people."""
    return float(text.replace(",", ""))
