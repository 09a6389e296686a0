"""Edits: changes of a run while it trains, and the Config that results for a step."""

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
    """Return the value of a field after all edits."""
    return next((e.value for e in reversed(edits) if e.field == field), getattr(config, field))


def changes(config: Config, edits: Sequence[Edit], step: int, **values: Any) -> tuple[Edit, ...]:
    """Return the edits that set fields to `values` from `step` on. Values that are None or not new make none.

    Raises `ConfigError` for a field that cannot be edited or a value out of its range.
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
            raise ConfigError(field, value, Message.of("at least {step}, the steps already done", step=step))
        if value != current(config, edits, field):
            made.append(Edit(step, field, value))
    return tuple(made)


def segment(config: Config, edits: Sequence[Edit], step: int) -> tuple[Config, int]:
    """Return the Config that computes `step`, and the first step that needs another one.

    The method stays that of the run's start, although `auto` depends on the number of steps.
    """
    rate, steps = config.learning_rate, current(config, edits, "steps")
    end = steps
    for edit in edits:
        if edit.field == "learning_rate" and edit.step <= step:
            rate = edit.value
        elif edit.field == "learning_rate":
            end = min(end, edit.step)
    return replace(config, method=methods.used(config), learning_rate=rate, steps=steps), end
