"""Settings: environment variables, their defaults, and what is said of a bad one."""

import ast
import re
from dataclasses import fields

import pytest

from tests.conftest import ROOT
from twolayer.engine.settings import MB, SETTINGS, WORKER_MB, SettingError, Settings, from_environment

DOCUMENTED = ROOT / "docs" / "server.md"
SOURCES = [ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "twolayer").rglob("*.py")]
GOOD = {
    "TWOLAYER_SCHEDULER": ("tcp://10.0.0.1:8786", "scheduler", "tcp://10.0.0.1:8786"),
    "TWOLAYER_WORKERS": ("3", "workers", 3),
    "TWOLAYER_MEMORY_MB": ("123", "memory_mb", 123),
    "TWOLAYER_MAX_SECONDS": ("7", "max_seconds", 7),
    "TWOLAYER_MAX_WALL_SECONDS": ("70", "max_wall_seconds", 70),
    "TWOLAYER_LIVE_PER_VISITOR": ("8", "live_per_visitor", 8),
    "TWOLAYER_LIVE": ("9", "live", 9),
}


def test_defaults_are_sensible():
    settings = from_environment({})
    assert settings.scheduler is None
    assert settings.workers >= 1
    assert 64 <= settings.memory_mb <= 2048
    assert settings.max_seconds == 600


@pytest.mark.parametrize(
    ("memory_mb", "cores", "expected"),
    [
        (512, 2, (1, 128)),
        (2700, 2, (2, 675)),
        (64_000, 8, (8, 2048)),
        (4000, 64, (6, 1000)),
        (100, 4, (1, 64)),
    ],
)
def test_the_default_follows_cores_and_memory(monkeypatch, memory_mb, cores, expected):
    monkeypatch.setattr("dask.system.CPU_COUNT", cores)
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", memory_mb * MB)
    settings = from_environment({})
    assert (settings.workers, settings.memory_mb) == expected


def test_every_variable_is_read():
    assert set(GOOD) == set(SETTINGS)
    settings = from_environment({name: text for name, (text, _, _) in GOOD.items()})
    for _, field, value in GOOD.values():
        assert getattr(settings, field) == value


@pytest.mark.parametrize("name", SETTINGS)
def test_an_empty_variable_is_none(name):
    assert from_environment({name: ""}) == from_environment({})


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("text", ["abc", "0", "-1", "1.5", "nan", "http://x", "localhost:8786", "9" * 5000])
def test_a_bad_variable_is_named_with_what_it_is_for(name, text):
    with pytest.raises(SettingError, match=name) as caught:
        from_environment({name: text})
    assert SETTINGS[name].words in str(caught.value)


def test_the_process_environment_is_the_default(monkeypatch):
    monkeypatch.setenv("TWOLAYER_MAX_SECONDS", "77")
    assert from_environment().max_seconds == 77


def test_a_worker_may_take_its_libraries_and_all_the_runs():
    settings = Settings(scheduler=None, workers=1, memory_mb=100, max_seconds=1)
    assert settings.worker_limit_bytes == (WORKER_MB + 100) * MB


def test_the_documented_table_is_the_codes():
    rows = re.findall(
        r"^\| `(TWOLAYER_\w+)` \| (.*?) \| (.*?) \|$", DOCUMENTED.read_text("utf-8"), re.MULTILINE
    )
    assert rows == [(name, field.default_text, field.words) for name, field in SETTINGS.items()]


def test_no_variable_is_read_past_the_table():
    for path in SOURCES:
        source = path.read_text("utf-8")
        read = {ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
        sets_one_of_a_library = path.parent.name == "scripts" or path.name == "jax.py"
        if path.name != "settings.py" and not sets_one_of_a_library:
            assert not read & {"os.environ", "os.environb", "os.getenv"}, path.name
        assert set(re.findall(r"\bTWOLAYER_[A-Z_]+", source)) <= SETTINGS.keys(), path.name


def test_every_setting_is_used():
    others = "".join(path.read_text("utf-8") for path in SOURCES if path.name != "settings.py")
    for field in fields(Settings):
        assert f"settings.{field.name}" in others, field.name
