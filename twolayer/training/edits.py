"""Edits: what somebody changed in a run on its way, and the Config that holds for a step because of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from twolayer.training import methods
from twolayer.training.config import FIELDS, Config
from twolayer.training.fields import ConfigError
from twolayer.training.messages import Message

EDITABLE = ("learning_rate", "steps")


@dataclass(frozen=True)
class Edit:
    """From step `step` on (the first is 0), `field` has another value."""

    step: int
    field: str
    value: Any


def current(config: Config, edits: Sequence[Edit], field: str) -> Any:
    """The value of a field after all edits."""
    return next((e.value for e in reversed(edits) if e.field == field), getattr(config, field))


def changes(config: Config, edits: Sequence[Edit], step: int, **values: Any) -> tuple[Edit, ...]:
    """The edits that give fields new `values` from `step` on; none for a value that holds already, or None.

    Raises `ConfigError` for a field that cannot be edited and for a value that it cannot have.
    """
    made = []
    for field, value in values.items():
        if value is None:
            continue
        if field not in EDITABLE:
            names = Message.of("one of the fields {names}", names=", ".join(EDITABLE))
            raise ConfigError(field, value, names)
        value = FIELDS[field].checked(field, value)
        if field == "steps" and value < step:
            raise ConfigError(field, value, Message.of("at least the {step} steps that are done", step=step))
        if value != current(config, edits, field):
            made.append(Edit(step, field, value))
    return tuple(made)


def segment(config: Config, edits: Sequence[Edit], step: int) -> tuple[Config, int]:
    """The Config by which `step` is computed, and the step before which it ends to hold.

    Its method is the one that the run began with: what `auto` picks depends on the steps.
    """
    rate, end = config.learning_rate, current(config, edits, "steps")
    for edit in edits:
        if edit.field == "learning_rate" and edit.step <= step:
            rate = edit.value
        elif edit.field == "learning_rate":
            end = min(end, edit.step)
    if rate == config.learning_rate and config.method == methods.used(config):
        return config, end
    return replace(config, method=methods.used(config), learning_rate=rate), end
