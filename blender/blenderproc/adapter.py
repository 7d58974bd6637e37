# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports BlenderProc into this process and undoes all side effects of the import."""

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

SUPPORTED_VERSION = "2.8"
"""The release line that this adapter supports."""

_INSTALL = 'pip install "twinset[blenderproc]"'
_INSIDE_BLENDER_VARIABLE = "INSIDE_OF_THE_INTERNAL_BLENDER_PYTHON_ENVIRONMENT"
_SETUP_MODULE = "blenderproc.python.utility.SetupUtility"
_PACKAGES = ("blenderproc", "bop_toolkit_lib")

_cached_modules: dict[str, types.ModuleType] = {}
"""BlenderProc's modules between uses; importing them takes seconds."""


@contextmanager
def blenderproc() -> Iterator[Any]:
    """BlenderProc, as by ``import blenderproc as bproc``, inside the context.

    It is imported without its own Blender: its actions at import (removing folders from the path, installing packages,
    setting variables) are prevented or undone. On exit ``sys.path``, ``sys.modules``, the environment, the working
    folder and the global random states are restored. Its loaders have no network access. If this process has already
    imported BlenderProc, as in a script of ``blenderproc run``, that module is used unchanged.

    Raises
    ------
    StageError
        It is not installed, is an unsupported version, or one of its packages is missing.
    """
    running = sys.modules.get("blenderproc")
    if hasattr(running, "loader"):
        _clear_object_cache()
        yield running
        return
    before = (list(sys.path), dict(os.environ), os.getcwd(), random.getstate(), np.random.get_state())  # noqa: NPY002
    loaded_before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in _PACKAGES}
    with ExitStack() as stack:
        temp = stack.enter_context(tempfile.TemporaryDirectory(prefix="twinset-"))
        stack.callback(_restore, loaded_before, *before)
        bproc = _import_cached()
        sys.modules.update(bop_toolkit.replacement_modules())
        _clear_object_cache()
        # As in a new process: the output folder of an earlier use no longer exists.
        sys.modules["blenderproc.python.utility.GlobalStorage"].GlobalStorage._storage_dict.clear()
        sys.modules["blenderproc.python.utility.Utility"].Utility.temp_dir = temp
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield bproc


def call_loader(loader: Callable[[], Any]) -> Any:
    """Call a loader of BlenderProc and return its result; any exception becomes a RuntimeError of one line."""
    try:
        with silenced_stdout(stderr=True):
            return loader()
    except Exception as error:  # its loaders raise any type, including Exception itself
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        raise RuntimeError(f"BlenderProc's loader failed: {text}") from error


def _import_cached() -> Any:
    if "blenderproc" not in _cached_modules:
        _check_version()
        try:
            with silenced_stdout(stderr=True):
                _import()
        except ModuleNotFoundError as error:
            raise StageError(f"BlenderProc needs the package '{error.name}'. Run: {_INSTALL}") from error
        except Exception as error:  # the import of another release may raise anything
            text = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
            raise StageError(f"BlenderProc cannot be imported: {text}. Run: {_INSTALL}") from error
        _cache_modules()
        atexit.register(_release_modules)
    sys.modules.update(_cached_modules)
    return sys.modules["blenderproc"]


def _release_modules() -> None:
    """Drop all references to bpy: Blender shuts down with that module, and references would make the process hang."""
    for module in _cached_modules.values():
        # The modules themselves may have other references. Python's exit clears only those in sys.modules.
        module.__dict__.clear()
    _cached_modules.clear()
    gc.collect()


def _clear_object_cache() -> None:
    """Clear BlenderProc's cache of objects, which may belong to an earlier scene that Blender has freed."""
    sys.modules["blenderproc.python.loader.BopLoader"]._BopLoader.CACHED_OBJECTS.clear()


def _cache_modules() -> None:
    _cached_modules.update(
        (name, module) for name, module in sys.modules.items() if name.partition(".")[0] == "blenderproc"
    )


def _check_version() -> None:
    import bpy

    if bpy.app.version >= (5, 0):
        raise StageError(
            f"BlenderProc's loaders do not support Blender {bpy.app.version_string}. Run Twinset on Python 3.11 with "
            "Blender 4.5."
        )
    try:
        version = importlib.metadata.version("blenderproc")
    except importlib.metadata.PackageNotFoundError:
        raise StageError(f"This recipe needs BlenderProc, which is not installed. Run: {_INSTALL}") from None
    if version != SUPPORTED_VERSION and not version.startswith(f"{SUPPORTED_VERSION}."):
        raise StageError(
            f"BlenderProc {version} is installed, but Twinset supports only {SUPPORTED_VERSION}.*. Run: {_INSTALL}"
        )


def _import() -> None:
    spec = importlib.util.find_spec("blenderproc")
    if spec is None or not spec.origin:
        raise ModuleNotFoundError("No module named 'blenderproc'", name="blenderproc")
    os.environ[_INSIDE_BLENDER_VARIABLE] = "1"
    # At import it removes its parent folder from sys.path, which must contain it in this spelling.
    sys.path.append(os.path.abspath(Path(spec.origin).parent.parent))
    stand_in = types.ModuleType(_SETUP_MODULE)
    stand_in.SetupUtility = _setup_utility(list(sys.path))  # type: ignore[attr-defined]
    sys.modules[_SETUP_MODULE] = stand_in
    bproc = importlib.import_module("blenderproc")
    sys.modules["blenderproc.python.loader.Front3DLoader"].urlretrieve = _refuse_download  # type: ignore[attr-defined]
    bproc.init = _init_of(bproc)  # type: ignore[attr-defined]


def _init_of(bproc: Any) -> Callable[[bool], None]:
    def init(clean_up_scene: bool = True) -> None:
        """As BlenderProc's own init, but without setting Blender's language: the bpy wheel has no languages."""
        import bpy

        if clean_up_scene:
            bproc.clean_up(clean_up_camera=True)
        bpy.context.scene.render.engine = "CYCLES"
        sys.modules["blenderproc.python.utility.Initializer"]._Initializer.set_default_parameters()

    return init


def _setup_utility(path: list[str]) -> type:
    class SetupUtility:
        """Replaces the class with which BlenderProc installs packages: installs nothing and restores the path."""

        @staticmethod
        def setup(*_: Any, **__: Any) -> list[str]:
            sys.path[:] = path
            return sys.argv

        @staticmethod
        def setup_pip(*_: Any, **__: Any) -> str:
            return ""

    return SetupUtility


def _refuse_download(url: str, *_: Any) -> None:
    raise RuntimeError(f"{url} is missing from the dataset, and downloads are disabled")


def _restore(
    loaded_before: dict[str, types.ModuleType], path: list[str], environment: dict[str, str], *rest: Any
) -> None:
    folder, python_state, numpy_state = rest
    sys.path[:] = path
    if _cached_modules:
        _cache_modules()  # its functions may have imported more modules
    for name in [n for n in sys.modules if n.partition(".")[0] in _PACKAGES]:
        del sys.modules[name]
    sys.modules.update(loaded_before)
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update({k: v for k, v in environment.items() if os.environ.get(k) != v})
    os.chdir(folder)
    random.setstate(python_state)
    np.random.set_state(numpy_state)  # noqa: NPY002
