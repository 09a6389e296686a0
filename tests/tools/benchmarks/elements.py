"""What a browser reads from the elements of a Streamlit page: their texts, and the values of widgets."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.NumberInput_pb2 import NumberInput
from streamlit.proto.Slider_pb2 import Slider
from streamlit.proto.WidgetStates_pb2 import WidgetState

NOT_A_VALUE = {"id", "label", "help"}
"""String fields of an element that do not say what it shows."""


def key_of(identity: str) -> str:
    """The `key=` of a container or widget; Streamlit appends it to the id that it makes."""
    return identity.split("-", 2)[-1]


def strings(message: Message) -> Iterator[str]:
    """All texts of an element but those that name it or explain it."""
    for field, value in message.ListFields():
        nested = field.message_type
        if field.name in NOT_A_VALUE or (nested is not None and nested.GetOptions().map_entry):
            continue
        for item in value if field.is_repeated else [value]:
            if field.type == FieldDescriptor.TYPE_STRING:
                yield item
            elif nested is not None:
                yield from strings(item)


def widget_of(element: Element) -> Any:
    return getattr(element, element.WhichOneof("type") or "empty")


def widget_state(element: Element) -> WidgetState | None:
    """What a browser reports of a widget that nobody has touched; None for all other elements."""
    kind, widget = element.WhichOneof("type"), widget_of(element)
    if kind not in WIDGETS:
        return None
    given, state = widget.set_value, WidgetState(id=widget.id)
    match kind:
        case "checkbox":
            state.bool_value = widget.value if given else widget.default
        case "number_input":
            if given or widget.HasField("default"):
                number = widget.value if given else widget.default
                if widget.data_type == NumberInput.INT:
                    state.int_value = round(number)
                else:
                    state.double_value = number
        case "text_input" | "text_area":
            state.string_value = widget.value if given else widget.default
        case "radio" | "selectbox":
            if given or widget.HasField("default"):
                state.string_value = widget.raw_value if given else widget.options[widget.default]
        case "slider" if widget.type != Slider.SELECT_SLIDER:
            state.double_array_value.data.extend(widget.value if given else widget.default)
        case "slider":
            chosen = widget.raw_value if given else [widget.options[int(i)] for i in widget.default]
            state.string_array_value.data.extend(chosen)
        case "button_group" | "multiselect":
            options = [getattr(option, "content", option) for option in widget.options]
            chosen = widget.raw_values if given else [options[i] for i in widget.default]
            state.string_array_value.SetInParent()
            state.string_array_value.data.extend(chosen)
    return state


WIDGETS = frozenset(
    {"checkbox", "number_input", "text_input", "text_area", "radio", "selectbox", "slider"}
    | {"button_group", "multiselect"}
)
"""Widgets whose values are reported; buttons report nothing until they are pressed."""
