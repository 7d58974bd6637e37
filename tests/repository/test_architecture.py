# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the house, held by reading the source: who imports whom, randomness, headers, sizes."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from source_tree import LOWER, ROOT, imports, in_package, tree_files

MAX_LINES = 400
BLENDER_MODULES = {"bpy", "bpy_extras", "bmesh", "mathutils", "gpu", "gpu_extras", "blf", "addon_utils"}
MAY_IMPORT_BLENDER = ("blender/", "addon/", "headless/blender_command.py")
# They look at what others do to it, and put it back.
MAY_SEE_GLOBAL_RANDOM = ("testing/conformance/global_random.py", "blender/blenderproc/adapter.py")
MAY_PRINT = ("headless/", "benchmarks/", "docs/")
HEAVY = {
    "bpy",
    "sklearn",
    "cv2",
    "h5py",
    "scipy",
    "matplotlib",
    "pyarrow",
    "pycocotools",
    "OpenEXR",
    "onnxruntime",
    "pandas",
}
VAGUE_NAMES = {"utils", "util", "helpers", "misc", "common"}
NUMPY_RANDOM_ALLOWED = {"Generator", "BitGenerator", "SeedSequence", "Philox", "PCG64", "PCG64DXSM", "default_rng"}


def part_of(parts: tuple[str, ...]) -> str:
    """The part of the package ("engine", "plugins", ...; "" for the root) that a module belongs to."""
    return parts[0] if parts and parts[0] in LOWER else ""


def check_direction(path: str, tree: ast.AST) -> list[str]:
    """Imports run one way, relative inside the package; plugins never import each other."""
    if not in_package(path):
        return []
    own = part_of(tuple(path.removesuffix(".py").split("/")))
    problems = []
    for line, target, name in imports(path, tree):
        if target is None:
            if name == "twinset":
                problems.append(f"{path}:{line} imports twinset by its name; inside the package imports are relative")
            continue
        if target == ("..",):
            problems.append(f"{path}:{line} imports from above the package")
            continue
        other = part_of(target)
        if other != own and other not in LOWER[own]:
            problems.append(f"{path}:{line} imports {'.'.join(target)}: {own or 'the root'} may not know {other}")
        is_plugin = own == "plugins" and path.count("/") >= 2 and not path.endswith("__init__.py")
        if is_plugin and other == "plugins":
            problems.append(f"{path}:{line} imports {'.'.join(target)}: plugins never import each other")
    return problems


def check_blender_imports(path: str, tree: ast.AST) -> list[str]:
    """Only the Blender parts import Blender's modules."""
    if path.startswith((*MAY_IMPORT_BLENDER, "tests/", "benchmarks/", "docs/")):
        return []
    return [
        f"{path}:{line} imports {name}; only {', '.join(MAY_IMPORT_BLENDER)} may"
        for line, target, name in imports(path, tree)
        if target is None and name in BLENDER_MODULES
    ]


def dotted(node: ast.AST) -> str:
    """``np.random.seed`` for such an expression, "" for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr}" if left else ""
    return ""


def check_randomness(path: str, tree: ast.AST) -> list[str]:
    """No global random state: neither the module random, nor numpy's, nor a generator seeded by the system."""
    if path in MAY_SEE_GLOBAL_RANDOM:
        return []
    problems = []
    for line, target, name in imports(path, tree):
        if target is None and name in ("random", "secrets"):
            problems.append(f"{path}:{line} imports {name}; take a numpy Generator as the argument rng")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            head, _, last = dotted(node).rpartition(".")
            if head in ("np.random", "numpy.random") and last not in NUMPY_RANDOM_ALLOWED:
                problems.append(f"{path}:{node.lineno} uses numpy's global random state: {last}")
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module == "numpy.random":
            for alias in node.names:
                if alias.name not in NUMPY_RANDOM_ALLOWED:
                    problems.append(f"{path}:{node.lineno} uses numpy's global random state: {alias.name}")
        if isinstance(node, ast.Call) and not node.args and not node.keywords:
            name = dotted(node.func).rpartition(".")[2]
            if name in ("default_rng", "SeedSequence", "Philox", "PCG64", "PCG64DXSM"):
                problems.append(f"{path}:{node.lineno} calls {name}() without a seed")
    return problems


def check_prints(path: str, tree: ast.AST) -> list[str]:
    """Modules log; only the command line prints."""
    if path.startswith(MAY_PRINT):
        return []
    return [
        f"{path}:{node.lineno} prints; use logging"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and dotted(node.func) in ("print", "pprint", "pprint.pprint")
    ]


def check_form(path: str, source: str, tree: ast.Module) -> list[str]:
    """Header, docstring, length and name of a file."""
    problems = []
    first = source.splitlines()[0] if source else ""
    if first.startswith("#!"):
        first = source.splitlines()[1]
    if first != "# SPDX-License-Identifier: GPL-3.0-or-later":
        problems.append(f"{path}:1 lacks the SPDX header")
    if not ast.get_docstring(tree):
        problems.append(f"{path}:1 lacks a module docstring")
    lines = source.count("\n")
    if lines > MAX_LINES:
        problems.append(f"{path} has {lines} lines, more than {MAX_LINES}; split it by subject")
    stem = path.rsplit("/", 1)[-1].removesuffix(".py").strip("_")
    if stem in VAGUE_NAMES:
        problems.append(f"{path} says nothing by its name; name it after its subject")
    return problems


def problems_of(path: str, source: str) -> list[str]:
    """Everything that a file has against the rules."""
    tree = ast.parse(source, filename=path)
    rules = (check_direction, check_blender_imports, check_randomness, check_prints)
    return [p for rule in rules for p in rule(path, tree)] + check_form(path, source, tree)


def test_every_file_keeps_the_rules() -> None:
    files = tree_files()
    assert {"__init__.py", "engine/stage.py", "tests/repository/test_architecture.py"} <= set(files)
    problems = [p for path in files for p in problems_of(path, (ROOT / path).read_text(encoding="utf-8"))]
    assert not problems, "\n" + "\n".join(problems)


def test_every_module_of_the_package_is_in_a_known_part() -> None:
    known = {*LOWER, "tests", "benchmarks", "docs", "examples", "setup"}
    strangers = [p for p in tree_files() if p != "__init__.py" and p.split("/")[0].removesuffix(".py") not in known]
    assert not strangers


HEADER = '# SPDX-License-Identifier: GPL-3.0-or-later\n"""Something."""\n'


@pytest.mark.parametrize(
    ("path", "body", "complaint"),
    [
        ("engine/x.py", "from ..plugins.camera import orbit", "engine may not know plugins"),
        ("engine/x.py", "from .. import blender", "engine may not know blender"),
        ("engine/x.py", "def f():\n    from ..headless import cli", "engine may not know headless"),
        ("alignment/x.py", "from ..dataset import coco", "alignment may not know dataset"),
        ("plugins/camera/x.py", "from .y import Y", "plugins never import each other"),
        ("plugins/camera/x.py", "from ..metric import bbox", "plugins never import each other"),
        ("plugins/camera/x.py", "from ...blender.stage import BlenderStage", "plugins may not know blender"),
        ("headless/x.py", "from ..addon import panels", "headless may not know addon"),
        ("addon/x.py", "from ..headless import cli", "addon may not know headless"),
        ("dataset/x.py", "import twinset.engine", "imports are relative"),
        ("dataset/x.py", "from twinset.engine.plugin import param", "imports are relative"),
        ("dataset/x.py", "from ...other import y", "from above the package"),
        ("engine/x.py", "import bpy", "imports bpy"),
        ("plugins/camera/x.py", "def f():\n    from mathutils.bvhtree import BVHTree", "imports mathutils"),
        ("headless/x.py", "import bpy", "imports bpy"),
        ("engine/x.py", "import random", "imports random"),
        ("tests/x.py", "from random import choice", "imports random"),
        ("engine/x.py", "np.random.seed(0)", "global random state: seed"),
        ("engine/x.py", "y = numpy.random.rand(3)", "global random state: rand"),
        ("engine/x.py", "from numpy.random import normal", "global random state: normal"),
        ("engine/x.py", "rng = np.random.default_rng()", "default_rng() without a seed"),
        ("engine/x.py", "print('x')", "prints"),
        ("engine/utils.py", "", "says nothing by its name"),
        ("engine/x.py", "\n" * MAX_LINES, "more than 400"),
    ],
)
def test_rules_catch_what_they_forbid(path: str, body: str, complaint: str) -> None:
    problems = problems_of(path, HEADER + body)
    assert len(problems) == 1
    assert complaint in problems[0]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("plugins/camera/x.py", "from ...engine.plugin import plugin"),
        ("blender/x.py", "import bpy\nfrom ..engine import stage"),
        ("engine/x.py", "rng = np.random.default_rng(0)\ng: np.random.Generator"),
        ("headless/x.py", "from .. import __version__\nprint(1)"),
        ("tests/x.py", "from twinset.engine import params"),
    ],
)
def test_rules_allow_what_is_meant(path: str, body: str) -> None:
    assert problems_of(path, HEADER + body) == []


def test_headers_and_docstrings_are_asked_for() -> None:
    assert problems_of("engine/x.py", "x = 1\n") == [
        "engine/x.py:1 lacks the SPDX header",
        "engine/x.py:1 lacks a module docstring",
    ]


def test_heavy_packages_are_imported_only_when_needed() -> None:
    modules = ["twinset", *(f"twinset.{p}" for p in ("engine", "alignment", "dataset", "plugins", "headless.cli"))]
    modules += [
        "twinset." + p.removesuffix(".py").replace("/", ".")
        for p in tree_files()
        if p.startswith(("engine/", "plugins/")) and not p.endswith("__init__.py")
    ]
    code = (
        "import importlib, json, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(json.dumps(sorted(set(sys.modules) & {HEAVY!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_pytest_does_not_import_the_root_as_a_second_package() -> None:
    import twinset

    assert Path(twinset.__file__).resolve().parent == ROOT
    twins = [n for n, m in sys.modules.items() if getattr(m, "__file__", None) == twinset.__file__]
    assert twins == ["twinset"]
    assert not list((ROOT / "tests").rglob("__init__.py"))
