# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``init``: writes a first recipe from a scene and real annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any

import attrs
import typer

from ....dataset.atomic_files import write_atomic
from ....engine.errors import OutputError, RecipeError
from ....engine.recipe.reading import load_recipe
from ....engine.recipe.settings import ModelSettings, Recipe, SceneSettings
from ....engine.recipe.writing import one_line, relative, toml_value
from ....engine.regular_files import real_path
from ....engine.scene.usual_sizes import ScaleEstimate, detached_parts, estimate_scale, room_scale, usual_size
from ...console.commands import command
from ...console.options import ForceOption, RecipeFileOption
from ...console.output import JsonOption, output_of, reserve_stdout
from ...console.progress import at_work
from .name_matching import ClassSource, find_class_source, literal_pattern
from .surface_choice import SurfaceChoice, choose_surfaces

MAX_LISTED_CLASSES = 12
"""Classes without a source in the scene that the recipe lists, the most frequent ones first."""

BUILTIN = {"chair": "chair", "dining table": "table", "table": "table", "desk": "table", "suitcase": "suitcase"}
BUILTIN |= {"backpack": "backpack", "handbag": "handbag", "bag": "bag"}
"""Classes to built-in shapes, for scenes without matching objects."""

MAX_BUILTIN = 3

_LAMP_HEIGHT = 2.7

MIN_MATCHED_SHARE = 0.1
"""Share of the real boxes below which the objects of a scene are too few to do without built-in shapes."""

_MIN_ENCLOSED = 0.4
"""Share of directions with walls from which on a floor is that of a room."""


@attrs.frozen
class Findings:
    """The content of a scene and of a dataset that matters for a recipe.

    ``scene`` is described in real size, with ``resize`` applied; ``detached`` has the classes whose objects consist of
    several unparented parts, with the names of these. ``is_model`` tells that the scene is a model file.
    """

    scene: dict[str, Any]
    counts: dict[str, int]
    sources: dict[str, ClassSource]
    detached: dict[str, list[str]]
    choice: SurfaceChoice
    resize: ScaleEstimate | None
    is_model: bool = False

    @property
    def surfaces(self) -> list[str]:
        """Name patterns of what to stand things on."""
        return list(self.choice.names)

    @property
    def unmatched(self) -> list[str]:
        """Classes without matching objects in the scene, most frequent first."""
        rest = [name for name in self.counts if name not in self.sources]
        return sorted(rest, key=lambda name: (-self.counts[name], name))


@command(order=20)
def init(
    context: typer.Context,
    blend: Annotated[
        Path, typer.Argument(metavar="SCENE", help="Scene: .blend, or a model such as .glb.", show_default=False)
    ],
    real: Annotated[Path, typer.Argument(metavar="REAL", help="COCO file of the real images.", show_default=False)],
    out: RecipeFileOption,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Write a commented recipe for a scene and real annotations.

    Classes and the scale of the scene are guessed from the names and sizes of its objects, surfaces from ceilings,
    walls and furniture.
    """
    output = output_of(context)
    if out.exists() and not force:
        raise OutputError(f"{out} already exists. Choose another file with -o, or overwrite it with --force.")
    with at_work(output, "Reading the scene and the annotations"):
        findings = read_inputs(blend, real)
    text = recipe_text(findings, _relative(blend, out), _relative(real, out))
    write_atomic(out, text.encode())
    todo = _to_do(findings, out)
    for name, source in findings.sources.items():
        output.message(f"{name}: {findings.counts[name]} real boxes; assets from {source.description}.")
    if findings.resize is not None:
        resize = findings.resize
        output.message(f"The scene is scaled by {resize.scale:g}: {resize.description} ({resize.support}).")
    for phrase in findings.choice.reasons:
        output.message(f"Surface: {phrase}.")
    for phrase in findings.choice.runners_up:
        output.message(f"Not chosen: {phrase}.")
    for sentence in todo:
        output.message(f"To do: {sentence}")
    values = {
        "recipe": out,
        "classes": list(findings.sources),
        "surfaces": findings.surfaces,
        "surface_reasons": list(findings.choice.reasons),
        "runners_up": list(findings.choice.runners_up),
        "scale": findings.resize.scale if findings.resize is not None else 1.0,
        "todo": todo,
    }
    output.result(values, f"Wrote {out}. {'Then: ' if todo else 'Next: '}twinset render {out} -o dataset")


def read_inputs(blend: Path, real: Path) -> Findings:
    """Read a scene and a dataset, and match the classes of the dataset with names in the scene."""
    from ....dataset.formats.dataset_folder import read_dataset

    counts = {name: count for name, count in read_dataset(real).classes().items() if count}
    # Imported only now: errors in the annotations need not wait for Blender.
    reserve_stdout()
    from ....blender.geometry.family import Families
    from ....blender.scene.description import describe_scene
    from ....blender.scene.open_scene import open_scene
    from ....blender.scene.resize import resize_scene

    is_model = blend.suffix.lower() != ".blend"
    folder, path = real_path(blend).parent, str(real_path(blend))
    room = (
        Recipe(classes=(), scene=SceneSettings(), models=(ModelSettings(path=path),), folder=folder)
        if is_model
        else Recipe(classes=(), scene=SceneSettings(file=path), folder=folder)
    )
    opened = open_scene(room)
    scene = describe_scene(opened)
    resize = estimate_scale(scene["boxes"]) or room_scale(_room_height(scene), counts)
    if resize is not None:
        resize_scene(opened, resize.scale)
        scene = describe_scene(opened)
    family = Families()
    tops = (o for o in opened.objects if o.parent is None)
    objects = sorted(o.name for o in tops if _shows_something(family.with_descendants([o])))
    members = {name: len(held) for name, held in scene["collections"].items()}
    sources, detached = {}, {}
    taken: set[str] = set()
    for name in counts:
        source = find_class_source(name, members, objects)
        if source is None:
            continue
        own = source.objects or scene["collections"][source.collection]
        parts_of = {root: detached_parts(root, scene["boxes"], counts) for root in own}
        if any(parts_of.values()):
            # Each part would be an asset of its own, and the others would stay behind when it moves.
            detached[name] = sorted({part for root, parts in parts_of.items() if parts for part in (root, *parts)})
            continue
        sources[name] = source
        taken.update(own)
    # Parts of an asset move with it, so nothing can be placed on them.
    used = {name for name, root in scene["roots"].items() if taken & {name, root}}
    choice = choose_surfaces(scene["levels"], scene["boxes"], used)
    if choice.has_floor and sum(counts[name] for name in sources) < MIN_MATCHED_SHARE * sum(counts.values()):
        sources = {**sources, **_builtin_sources({name: n for name, n in counts.items() if name not in sources})}
    return Findings(scene, counts, sources, detached, choice, resize, is_model)


def _builtin_sources(counts: Mapping[str, int]) -> dict[str, ClassSource]:
    """Built-in shapes for the most frequent classes that have some."""
    names = sorted((name for name in counts if name in BUILTIN), key=lambda name: (-counts[name], name))[:MAX_BUILTIN]
    return {name: ClassSource((f"builtin = {toml_value(BUILTIN[name])}",), (), "built-in shapes") for name in names}


def _room_height(scene: Mapping[str, Any]) -> float:
    """Height in metres of the room above the floor that would be chosen; 0 for what is no room."""
    choice = choose_surfaces(scene["levels"], scene["boxes"])
    floors = [level for level in scene["levels"] if literal_pattern(level.surface) in choice.names]
    floors = [level for level in floors if level.enclosed >= _MIN_ENCLOSED]
    if not floors:
        return 0.0
    floor = max(floors, key=lambda level: level.area)
    return float(floor.ceiling if floor.covered >= _MIN_ENCLOSED else scene["top"] - floor.low)


def recipe_text(findings: Findings, blend: str, annotations: str) -> str:
    """The recipe as TOML with comments; what could not be guessed is marked TODO."""
    size = " x ".join(f"{v:.1f}" for v in findings.scene["size"])
    glows = findings.scene["only_glows"]
    lights = ", ".join(findings.scene["lights"]) or ("glowing materials" if glows else "none, so Twinset adds one")
    scale = (
        [f"scale = {findings.resize.scale:g}  # {findings.resize.description}; {findings.resize.support}"]
        if findings.resize is not None
        else []
    )
    lines = [
        "# First recipe, guessed from the scene and the annotations. Reference: twinset schema --markdown",
        "seed = 0",
        "images = 100",
        "",
        "[real]",
        f"annotations = {toml_value(annotations)}",
        "",
        f"# {size} m. Lights: {lights}.",
        *(["[[scene.models]]", f"path = {toml_value(blend)}"] if findings.is_model else ["[scene]"]),
        *([] if findings.is_model else [f"file = {toml_value(blend)}"]),
        *scale,
        *_classes(findings),
        *_placement(findings),
        *_cameras(findings),
        "",
        "# Box sizes and positions follow the real boxes.",
        "[target]",
        'plugin = "bbox_area_gmm"',
        *([f"classes = {toml_value(list(findings.sources))}"] if findings.sources else []),
        "",
        *(_lamps(findings) if glows else []),
        "# Random environment light:",
        "# [[appearance]]",
        '# plugin = "world"',
        '# hdri_folder = "hdri"',
        "",
        "[render]",
        'quality = "detector"',
        "",
        "[output]",
        "width = 640",
        "height = 480",
        "",
        "# Training, validation and test parts without shared shapes:",
        "# [split]",
        "# val = 0.1",
        "# test = 0.1",
    ]
    # Names of objects, which may be those of a model file, are part of comments.
    return "\n".join(map(one_line, lines)) + "\n"


def _classes(findings: Findings) -> list[str]:
    lines = []
    for name, source in findings.sources.items():
        lines += ["", f"# {findings.counts[name]} real boxes. Guessed from {source.description}.", "[[class]]"]
        lines += [f"name = {toml_value(name)}", *source.toml, *_size_hint(name, "# ")]
    for name, parts in findings.detached.items():
        lines += ["", *(f"# {line}" for line in wrap(f"TODO: {_detached_sentence(findings, name, parts)}", 110))]
    unmatched = findings.unmatched
    if not findings.sources and unmatched:
        lines += [
            "",
            "# TODO: no object of the scene matches a class of the annotations. Give the source of its assets:",
            '# models = ["chairs/*.glb"], collection = "Chairs" or objects = ["Chair*"]',
            "[[class]]",
            f"name = {toml_value(unmatched[0])}",
            *_size_hint(unmatched[0], ""),
        ]
        unmatched = unmatched[1:]
    if unmatched:
        lines += ["", "# Classes without matching objects in the scene; give models to use them."]
    for name in unmatched[:MAX_LISTED_CLASSES]:
        folder = name.replace(" ", "_")
        lines += [f"# [[class]]  # {findings.counts[name]} real boxes", f"# name = {toml_value(name)}"]
        lines += [f"# models = [{toml_value(f'models/{folder}/*.glb')}]", *_size_hint(name, "# ")]
    if len(unmatched) > MAX_LISTED_CLASSES:
        lines.append(f"# ... and {len(unmatched) - MAX_LISTED_CLASSES} more.")
    return lines


def _size_hint(name: str, mark: str) -> list[str]:
    usual = usual_size(name)
    if usual is None:
        return []
    key, sizes = usual
    return [f"{mark}{key} = {toml_value(list(sizes))}  # usual size in metres"]


def _placement(findings: Findings) -> list[str]:
    choice = findings.choice
    comment = [f"# Surface: {phrase}." for phrase in choice.reasons] or ["# The scene has no floor to stand on."]
    comment += [f"# Not chosen: {phrase}." for phrase in choice.runners_up]
    if not findings.surfaces:
        todo = "# TODO: name surfaces to place objects on; until then they stay where they are."
        return ["", *comment, todo, "[[placement]]", 'plugin = "keep"']
    lines = ["", *comment, "[[placement]]", 'plugin = "on_surface"', f"surfaces = {toml_value(findings.surfaces)}"]
    if choice.height_range is not None:
        lines.append(f"surface_height_range = {toml_value(list(choice.height_range))}  # without their other levels")
    return lines


def _lamps(findings: Findings) -> list[str]:
    """Lamps for scenes that only a screen or the like lights."""
    ceilings = [
        level.ceiling for level in findings.scene["levels"] if literal_pattern(level.surface) in findings.surfaces
    ]
    height = min((each for each in ceilings if each > 0.0), default=0.0) or _LAMP_HEIGHT
    low, high = round(0.6 * height, 2), round(0.9 * height, 2)
    return [
        "# Only materials that glow light the scene, so lamps are hung in it.",
        "[[appearance]]",
        'plugin = "lights"',
        "extra_range = [2, 4]",
        f"extra_height_range = {toml_value([low, high])}",
        "",
    ]


def _cameras(findings: Findings) -> list[str]:
    cameras = ", ".join(findings.scene["cameras"])
    note = [f'# The scene\'s own cameras ({cameras}) are used with plugin = "keep".'] if cameras else []
    return ["", "# The camera pose is solved for the target's boxes.", *note, "[[camera]]", 'plugin = "framed"']


def _to_do(findings: Findings, path: Path) -> list[str]:
    """What the user has to do: first what prevents the recipe from running, then improvements."""
    todo = []
    try:
        load_recipe(path)
    except RecipeError as error:
        todo += error.problems
    if not findings.choice.has_floor:
        todo.append(
            "The scene shows no floor: no flat part of it has room above, is broad, and is low or between walls."
            + (f" Things are placed on {', '.join(findings.surfaces)}." if findings.surfaces else "")
        )
    if not findings.surfaces:
        todo.append("Name surfaces in [[placement]] to place objects on; until then they stay where they are.")
    if findings.resize is not None:
        resize = findings.resize
        todo.append(f"Check [scene] scale = {resize.scale:g}: {resize.description} ({resize.support}).")
    if any("builtin = " in line for source in findings.sources.values() for line in source.toml):
        shapes = ", ".join(name for name, source in findings.sources.items() if "built-in" in source.description)
        todo.append(f"Give models instead of the built-in shapes of {shapes}: no object of the scene matches.")
    todo += [_detached_sentence(findings, name, parts) for name, parts in findings.detached.items()]
    without = [name for name in findings.unmatched if name not in findings.detached]
    if without and any("built-in" not in source.description for source in findings.sources.values()):
        shown = ", ".join(without[:MAX_LISTED_CLASSES]) + (
            f" and {len(without) - MAX_LISTED_CLASSES} more" if without[MAX_LISTED_CLASSES:] else ""
        )
        todo.append(f"Give models for the classes without matching objects in the scene, or omit them: {shown}.")
    return todo


def _detached_sentence(findings: Findings, name: str, parts: list[str]) -> str:
    shown = ", ".join(parts[:4]) + (", ..." if len(parts) > 4 else "")
    return (
        f"The class '{name}' ({findings.counts[name]} real boxes) consists of detached parts ({shown}), which stay "
        "where they are. To use it, parent them to one of them in Blender."
    )


def _relative(path: Path, out: Path) -> str:
    return relative(str(real_path(path)), real_path(out).parent)


def _shows_something(parts: Sequence[Any]) -> bool:
    """Whether one of some objects has faces or instances a collection."""
    return any(p.type in ("MESH", "CURVE", "SURFACE", "FONT", "META") or p.instance_type == "COLLECTION" for p in parts)
