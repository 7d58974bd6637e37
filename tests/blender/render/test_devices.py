# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device Cycles renders on, of those that it finds: a list of devices stands for those of a machine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("bpy")
from twinset.blender.render import devices
from twinset.blender.render.devices import Device, choose_device


class Preferences:
    """The preferences of Cycles on a machine with devices of these types."""

    def __init__(self, known: tuple[str, ...], found: list[tuple[str, str]]) -> None:
        self.devices = [SimpleNamespace(name=name, type=kind, use=True) for name, kind in found]
        self._known, self._chosen = known, "NONE"

    @property
    def compute_device_type(self) -> str:
        return self._chosen

    @compute_device_type.setter
    def compute_device_type(self, value: str) -> None:
        if value not in (*self._known, "NONE"):
            raise TypeError(f'enum "{value}" not found')  # what Blender raises where a build lacks a backend
        self._chosen = value

    def refresh_devices(self) -> None: ...

    @property
    def used(self) -> list[str]:
        return [device.name for device in self.devices if device.use]


def chosen(
    monkeypatch: pytest.MonkeyPatch, preferences: Preferences | None, wanted: str = "auto"
) -> tuple[Device, list[str]]:
    addons = {} if preferences is None else {"cycles": SimpleNamespace(preferences=preferences)}
    context = SimpleNamespace(preferences=SimpleNamespace(addons=addons))
    monkeypatch.setattr(devices, "bpy", SimpleNamespace(context=context))
    scenes: Any = tuple(SimpleNamespace(cycles=SimpleNamespace(device="?")) for _ in range(2))
    return choose_device(wanted, scenes), [scene.cycles.device for scene in scenes]


NVIDIA = [("A", "CUDA"), ("A", "OPTIX"), ("B", "CUDA"), ("B", "OPTIX"), ("Xeon", "CPU")]


def test_optix_comes_before_cuda_and_takes_all_its_gpus_but_no_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    preferences = Preferences(("CUDA", "OPTIX", "HIP"), NVIDIA)
    device, of_scenes = chosen(monkeypatch, preferences)
    assert device == Device("GPU", "OPTIX", ("A", "B")) and of_scenes == ["GPU", "GPU"]
    assert preferences.compute_device_type == "OPTIX"
    assert [d.name for d in preferences.devices if d.use and d.type != "OPTIX"] == []


@pytest.mark.parametrize("backend", ["CUDA", "HIP", "METAL", "ONEAPI"])
def test_other_backends_are_used_where_optix_is_missing(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    preferences = Preferences((backend,), [("C", backend), ("Xeon", "CPU")])
    assert chosen(monkeypatch, preferences)[0] == Device("GPU", backend, ("C",))
    assert preferences.used == ["C"]


def test_without_a_gpu_the_cpu_renders_and_only_who_asked_for_a_gpu_hears_of_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    preferences = Preferences(("CUDA", "OPTIX"), [("Xeon", "CPU")])
    assert chosen(monkeypatch, preferences) == (Device("CPU"), ["CPU", "CPU"])
    assert preferences.compute_device_type == "NONE" and not caplog.text
    assert chosen(monkeypatch, None) == (Device("CPU"), ["CPU", "CPU"])
    chosen(monkeypatch, preferences, "gpu")
    assert "No GPU that Cycles can use was found" in caplog.text


def test_who_asks_for_the_cpu_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    preferences = Preferences(("OPTIX",), NVIDIA)
    assert chosen(monkeypatch, preferences, "cpu") == (Device("CPU"), ["CPU", "CPU"])
    assert preferences.compute_device_type == "NONE"
