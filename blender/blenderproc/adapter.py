# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports BlenderProc's release into this process and takes every trace of it back: the only place that knows how."""

from __future__ import annotations

import atexit
import gc
import importlib
import importlib.metadata
import importlib.util
import os
import random
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import StageError
from ..process.stdout import silenced_stdout
from . import bop_toolkit

TRIED = "2.8"
"""The releases that this adapter was written for begin with this."""

_INSTALL = 'pip install "twinset[blenderproc]"'
_INSIDE = "INSIDE_OF_THE_INTERNAL_BLENDER_PYTHON_ENVIRONMENT"
_SETUP = "blenderproc.python.utility.SetupUtility"
_OWN = ("blenderproc", "bop_toolkit_lib")

_kept: dict[str, types.ModuleType] = {}
"""BlenderProc's modules between uses; importing them takes seconds."""


@contextmanager
def blenderproc() -> Iterator[Any]:
    """BlenderProc, ``import blenderproc as bproc``, for as long as the context lasts.

    It is imported without its own Blender: what it does at import (remove folders from the path, install packages, set
    variables) is left out or undone. Afterwards ``sys.path``, ``sys.modules``, the environment, the working folder and
    the global random states are what they were. Its loaders reach no network. A BlenderProc that this process has
    imported already, as in a script of ``blenderproc run``, is used as it is.

    Raises
    ------
    StageError
        It is not installed, is a release that was not tried, or lacks a package.
    """
    running = sys.modules.get("blenderproc")
    if hasattr(running, "loader"):
        _forget_objects()
        yield running
        return
    before = (list(sys.path), dict(os.environ), os.getcwd(), random.getstate(), np.random.get_state())  # noqa: NPY002
    there = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in _OWN}
    with ExitStack() as stack:
        temp = stack.enter_context(tempfile.TemporaryDirectory(prefix="twinset-"))
        stack.callback(_restore, there, *before)
        bproc = _imported()
        sys.modules.update(bop_toolkit.stand_ins())
        _forget_objects()
        # As in a new process: outputs of an earlier use went into a folder that is gone.
        sys.modules["blenderproc.python.utility.GlobalStorage"].GlobalStorage._storage_dict.clear()
        sys.modules["blenderproc.python.utility.Utility"].Utility.temp_dir = temp
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield bproc


def call(what: str, action: Callable[[], Any]) -> Any:
    """What a loader of BlenderProc returns; whatever it raises is a RuntimeError of one line that names ``what``."""
    try:
        with silenced_stdout(stderr=True):
            return action()
    except Exception as error:  # its loaders raise anything, Exception itself included
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        raise RuntimeError(f"BlenderProc's {what} failed: {text}") from error


def _imported() -> Any:
    if "blenderproc" not in _kept:
        _check_version()
        try:
            with silenced_stdout(stderr=True):
                _import()
        except ModuleNotFoundError as error:
            raise StageError(f"BlenderProc needs the package '{error.name}'. Run: {_INSTALL}") from error
        except Exception as error:  # a release that does otherwise at import may raise anything
            text = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
            raise StageError(f"BlenderProc cannot be imported: {text}. Run: {_INSTALL}") from error
        _keep()
        atexit.register(_free)
    sys.modules.update(_kept)
    return sys.modules["blenderproc"]


def _free() -> None:
    """Let go of bpy: Blender ends with its module, and the process hangs where something holds that to the last."""
    for module in _kept.values():
        # Not all modules themselves can be freed, which Python's own end would empty if they were in sys.modules.
        module.__dict__.clear()
    _kept.clear()
    gc.collect()


def _forget_objects() -> None:
    """Empty the cache of objects, which may be of an earlier scene: Blender has freed those."""
    sys.modules["blenderproc.python.loader.BopLoader"]._BopLoader.CACHED_OBJECTS.clear()


def _keep() -> None:
    _kept.update((name, module) for name, module in sys.modules.items() if name.partition(".")[0] == "blenderproc")


def _check_version() -> None:
    import bpy

    if bpy.app.version >= (5, 0):
        raise StageError(
            f"BlenderProc's loaders do not know Blender {bpy.app.version_string}. Run Twinset on Python 3.11, which "
            "has Blender 4.5."
        )
    try:
        version = importlib.metadata.version("blenderproc")
    except importlib.metadata.PackageNotFoundError:
        raise StageError(f"This recipe needs BlenderProc, which is not installed. Run: {_INSTALL}") from None
    if version != TRIED and not version.startswith(f"{TRIED}."):
        raise StageError(f"BlenderProc {version} is installed, and Twinset knows {TRIED}.* alone. Run: {_INSTALL}")


def _import() -> None:
    spec = importlib.util.find_spec("blenderproc")
    if spec is None or not spec.origin:
        raise ModuleNotFoundError("No module named 'blenderproc'", name="blenderproc")
    os.environ[_INSIDE] = "1"
    # It removes the folder that it lies in, which must be there, spelt like this.
    sys.path.append(os.path.abspath(Path(spec.origin).parent.parent))
    stand_in = types.ModuleType(_SETUP)
    stand_in.SetupUtility = _setup_utility(list(sys.path))  # type: ignore[attr-defined]
    sys.modules[_SETUP] = stand_in
    bproc = importlib.import_module("blenderproc")
    sys.modules["blenderproc.python.loader.Front3DLoader"].urlretrieve = _refuse  # type: ignore[attr-defined]
    bproc.init = _init_of(bproc)  # type: ignore[attr-defined]


def _init_of(bproc: Any) -> Callable[[bool], None]:
    def init(clean_up_scene: bool = True) -> None:
        """What BlenderProc's own does, but for Blender's language, of which the bpy wheel has none to choose."""
        import bpy

        if clean_up_scene:
            bproc.clean_up(clean_up_camera=True)
        bpy.context.scene.render.engine = "CYCLES"
        sys.modules["blenderproc.python.utility.Initializer"]._Initializer.set_default_parameters()

    return init


def _setup_utility(path: list[str]) -> type:
    class SetupUtility:
        """What BlenderProc installs packages by; this one installs nothing, and puts the path back."""

        @staticmethod
        def setup(*_: Any, **__: Any) -> list[str]:
            sys.path[:] = path
            return sys.argv

        @staticmethod
        def setup_pip(*_: Any, **__: Any) -> str:
            return ""

    return SetupUtility


def _refuse(url: str, *_: Any) -> None:
    raise RuntimeError(f"{url} is missing from the dataset, and nothing is downloaded here")


def _restore(there: dict[str, types.ModuleType], path: list[str], environment: dict[str, str], *rest: Any) -> None:
    folder, python_state, numpy_state = rest
    sys.path[:] = path
    if _kept:
        _keep()  # what its functions have imported when they were called
    for name in [n for n in sys.modules if n.partition(".")[0] in _OWN]:
        del sys.modules[name]
    sys.modules.update(there)
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update({k: v for k, v in environment.items() if os.environ.get(k) != v})
    os.chdir(folder)
    random.setstate(python_state)
    np.random.set_state(numpy_state)  # noqa: NPY002
