# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding plugins: built-in, in folders, from installed packages; broken ones stay alone."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from twinset.engine.errors import PluginError
from twinset.engine.plugin import KINDS, Column, param
from twinset.engine.plugin import registry as registry_module
from twinset.engine.plugin.registry import Registry, check_declaration, summary

GOOD = '''
from ...engine.plugin import Verdict, param, plugin

@plugin("filter")
class Picky:
    """Accept every {number}th shot."""

    every: int = param({number}, min=1, doc="One in so many")

    def judge(self, shot, rows):
        return Verdict(True)
'''


def write(folder: Path, name: str, text: str) -> Path:
    (folder / f"{name}.py").write_text(text)
    return folder


def test_every_builtin_is_found_under_its_file_name(root: Path) -> None:
    registry = Registry(entry_points=False)
    assert registry.broken == []
    for kind in KINDS:
        files = {p.stem for p in (root / "plugins" / f"{kind}s").rglob("*.py") if not p.stem.startswith("_")}
        assert set(registry.ids(kind)) == files
        for id in files:
            cls = registry.find(kind, id)
            assert (cls.plugin_kind, cls.plugin_id) == (kind, id)
            assert registry.is_builtin(cls)
            assert summary(cls)


def test_finding_builtins_imports_nothing_heavy() -> None:
    code = (
        "import sys; from twinset.engine.plugin.registry import catalogue; assert catalogue(); "
        "print([m for m in ('bpy', 'sklearn', 'scipy', 'cv2', 'matplotlib', 'pycocotools') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_ids_list_the_known_ones_and_the_closest() -> None:
    with pytest.raises(PluginError, match=r"no camera plugin 'framd'\. Did you mean 'framed'\? Known ones: .*orbit"):
        registry_module.find("camera", "framd")
    with pytest.raises(PluginError, match=r"no kind of plugin 'cammera'\. Did you mean 'camera'\?"):
        registry_module.find("cammera", "framed")


def test_folder_plugins_are_written_like_builtin_ones(tmp_path: Path) -> None:
    registry = Registry([write(tmp_path, "picky", GOOD.format(number=3))], entry_points=False)
    cls = registry.find("filter", "picky")
    assert cls().every == 3
    assert not registry.is_builtin(cls)
    assert "picky" not in Registry(entry_points=False).ids("filter")


def test_same_file_name_in_two_folders(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for number, folder in enumerate(folders, 3):
        folder.mkdir()
        write(folder, "picky", GOOD.format(number=number))
    assert Registry([folders[0]]).find("filter", "picky")().every == 3
    assert Registry([folders[1]]).find("filter", "picky")().every == 4
    both = Registry(folders)
    assert both.find("filter", "picky")().every == 3
    assert [b.id for b in both.broken] == ["picky"]
    assert "already called 'picky'" in both.broken[0].reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_module_anywhere", "No module named 'no_such_module_anywhere'"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("x = 1", r"declares no class with @plugin"),
        (GOOD.format(number=0), "default of its parameter 'every' must be an int in"),
        (GOOD.format(number=3).replace("def judge", "def jugde"), "needs the method 'judge'"),
        (GOOD.format(number=3).replace('"filter")', '"filter", contract=2)'), "contract 2 .* update Twinset"),
        (GOOD.format(number=3).replace("every", "weight"), "cannot be called 'weight'"),
        (GOOD.format(number=3).replace('param(3, min=1, doc="One in so many")', "3"), "not declared with param"),
        (GOOD.format(number=3).replace('"""Accept every 3th shot."""', ""), "no docstring"),
        (
            "from __future__ import annotations" + GOOD.format(number=3).replace("every: int", "every: Missing"),
            "parameters cannot be read: name 'Missing' is not defined",
        ),
    ],
)
def test_a_broken_plugin_breaks_no_other(tmp_path: Path, text: str, reason: str) -> None:
    write(tmp_path, "broken", text)
    write(tmp_path, "fine", GOOD.format(number=2))
    registry = Registry([tmp_path], entry_points=False)
    assert registry.find("filter", "fine")
    assert registry.find("camera", "orbit")
    assert [b.id for b in registry.broken] == ["broken"]
    with pytest.raises(PluginError, match=f"'broken' .*broken.py.* cannot be used: .*{reason}"):
        registry.find("filter", "broken")


def test_a_plugin_does_not_replace_a_builtin_one(tmp_path: Path) -> None:
    registry = Registry([write(tmp_path, "min_pixels", GOOD.format(number=3))], entry_points=False)
    assert registry.is_builtin(registry.find("filter", "min_pixels"))
    assert "already called 'min_pixels'" in registry.broken[0].reason


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="does not exist"):
        Registry([tmp_path / "nowhere"])


def test_installed_packages_offer_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = GOOD.format(number=7).replace("from ...engine", "from twinset.engine")
    (tmp_path / "registry_test_package.py").write_text(source)
    info = tmp_path / "registry_test_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: registry-test-package\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[twinset.plugins]\nregistry_test_package = registry_test_package\nghost = no_such_module_anywhere:Ghost\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert any(e.name == "ghost" for e in metadata.entry_points(group="twinset.plugins"))
    registry = Registry()
    assert registry.find("filter", "registry_test_package")().every == 7
    assert registry.find("camera", "orbit")
    with pytest.raises(PluginError, match="No module named 'no_such_module_anywhere'"):
        registry.find("metric", "ghost")


METRIC = """
from ...engine.plugin import Column, Columns, plugin

@plugin("metric")
class Soot:
    "Measure soot."
    columns = (COLUMN,)

    def measure(self, shot):
        return Columns(image={"soot": 0.5})
"""


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ('Column("class")', "its column 'class' has the name of a column that says which box a row is. Rename it."),
        ('Column("a b")', "its column 'a b' must be called by letters, digits and underscores alone."),
        ('Column("depth")', "its column 'depth' is one of the built-in metric 'depth'. Rename it."),
        ('Column("soot", kind="metres")', "which must be one of number, share, count, flag, category."),
    ],
)
def test_columns_that_no_plugin_may_declare(tmp_path: Path, column: str, reason: str) -> None:
    (broken,) = Registry([write(tmp_path, "soot", METRIC.replace("COLUMN", column))], entry_points=False).broken
    assert broken.reason.endswith(reason)


def test_former_ids_are_searched_for() -> None:
    found = Registry(entry_points=False).search("around")
    assert {cls.plugin_id for cls in found} == {"jitter"} and len(found) == 3  # type: ignore[attr-defined]


def test_one_level_or_need_may_stand_alone() -> None:
    column = Column("soot", levels="image", needs="pixels")  # type: ignore[arg-type]
    assert (column.levels, column.needs) == (("image",), {"pixels"})


def test_what_a_parameter_moves_has_directions() -> None:
    with pytest.raises(TypeError, match=r"'moves' must map columns to '\+', '-' or '\?'.*Got \['depth'\]"):
        param(1.0, doc="A share.", moves=["depth"])  # type: ignore[arg-type]


def test_a_plugin_is_a_class_declared_as_one() -> None:
    assert check_declaration(int) == "it is not a class declared with @plugin(kind)."
