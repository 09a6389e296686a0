"""What a server says of itself."""

import dataclasses
from importlib.metadata import version

from twolayer.engine import info
from twolayer.engine.settings import Settings
from twolayer.training.capabilities import probe
from twolayer.training.messages import Message

SETTINGS = Settings(scheduler=None, workers=3, memory_mb=321, max_seconds=77, live_per_visitor=5, live=50)


def words(rows: list[info.Row]) -> dict[str, str]:
    return {str(name): str(value) for name, value in rows}


def test_the_machine_with_its_devices_libraries_and_threads():
    devices = (("numpy", ("cpu",)), ("torch", ("cpu", "cuda:0")))
    machine_here = dataclasses.replace(
        probe().machine, cores=7, devices=devices, memory_bytes=(1 << 31) + 12_345
    )
    here = dataclasses.replace(probe(), machine=machine_here)
    said = words(info.machine(here))
    assert said["Processor"] == here.machine.processor
    assert said["CPU cores"].startswith("7 (")
    assert said["BLAS"] == here.machine.blas
    assert f"numpy {version('numpy')}" in said["Software"]
    assert said["Devices of torch"] == "cpu, cuda:0"
    assert said["Memory"] == "2048 MB"


def test_what_is_missing_and_how_to_get_it():
    why = Message.of("{library} is not installed. Install it with: pip install {library}", library="torch")
    without = dataclasses.replace(probe().machine, devices=(("numpy", ("cpu",)),))
    lacking = dataclasses.replace(probe(), machine=without, missing=(("torch", why),))
    assert (
        words(info.machine(lacking))["Devices of torch"]
        == "torch is not installed. Install it with: pip install torch"
    )


def test_the_limits_are_those_of_the_settings():
    said = words(info.limits(SETTINGS))
    assert said["Compute backend"] == "local worker processes: 3"
    assert "321 MB" in said.values()
    assert "at most 77 s" in said.values()
    assert "at most 5 per visitor, 50 in total" in said.values()


def test_the_address_of_another_cluster_is_not_told():
    said = words(info.limits(dataclasses.replace(SETTINGS, scheduler="tcp://10.1.2.3:8786")))
    assert said["Compute backend"] == "an external cluster"
    assert "10.1.2.3" not in str(said)
