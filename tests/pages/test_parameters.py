"""Query parameters of single pages."""

from collections import Counter

from twolayer.dashboard.common.pages import PAGES
from twolayer.dashboard.common.parameters import PARAMETERS
from twolayer.training.config import FIELDS, PAGE_PARAMETERS


def test_names_collide_neither_with_fields_nor_with_each_other() -> None:
    names = Counter([*FIELDS, *PAGE_PARAMETERS, *PARAMETERS])
    assert {name for name, count in names.items() if count > 1} == set()


def test_pages_use_declared_parameters_and_each_is_used() -> None:
    used = {name for page in PAGES.values() for name in page.parameters}
    assert used == set(PARAMETERS)


def test_a_default_is_what_its_parameter_takes() -> None:
    for parameter in PARAMETERS.values():
        if parameter.default is not None:  # which follows from other settings
            assert parameter.check(parameter.default) == parameter.default
            assert parameter.parse(str(parameter.default)) == parameter.default
