# SPDX-License-Identifier: GPL-3.0-or-later
"""The command init, which looks into a scene and a COCO file and writes a first recipe."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any

import attrs
import typer

from ....engine.errors import OutputError, RecipeError
from ....engine.recipe.reading import load_recipe
from ....engine.recipe.settings import Recipe, SceneSettings
from ....engine.recipe.writing import relative, toml_value
from ...console.commands import command
from ...console.output import JsonOption, output_of, reserve_stdout
from ...console.progress import at_work
from .scene_guesses import (
    HEIGHT,
    LONGEST,
    Proportion,
    Source,
    class_source,
    likely_surfaces,
    loose_parts,
    proportion,
)

MOST_IDLE = 12
"""Classes without a source in the scene that the recipe mentions, the most frequent ones first."""


@attrs.frozen
class Findings:
    """What a scene and a COCO file hold, as far as a recipe can use it.

    ``scene`` is described in real size, with ``resize`` applied; ``loose`` are classes whose things the scene has, but
    in pieces: the names of those.
    """

    scene: dict[str, Any]
    counts: dict[str, int]
    sources: dict[str, Source]
    loose: dict[str, list[str]]
    surfaces: list[str]
    resize: Proportion | None

    @property
    def idle(self) -> list[str]:
        """Classes of the COCO file that nothing in the scene looks like, most frequent first."""
        rest = [name for name in self.counts if name not in self.sources]
        return sorted(rest, key=lambda name: (-self.counts[name], name))


@command(order=20)
def init(
    context: typer.Context,
    blend: Annotated[Path, typer.Argument(help="The scene, a .blend file.", show_default=False)],
    coco: Annotated[Path, typer.Argument(help="COCO file of the real images.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--output", "--out", dir_okay=False, help="The recipe to write.")] = Path(
        "recipe.toml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace a recipe that is there already.")] = False,
    json: JsonOption = False,
) -> None:
    """Write a commented recipe by looking into a scene and a COCO file."""
    output = output_of(context)
    if out.exists() and not force:
        raise OutputError(f"{out} exists already. Name another file with -o, or replace it with --force.")
    with at_work(output, "Looking into the scene and the annotations"):
        findings = look(blend, coco)
    text = recipe_text(findings, _relative(blend, out), _relative(coco, out))
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror}. Name another file with -o.") from None
    todo = _to_do(findings, out)
    for name, source in findings.sources.items():
        output.message(f"{name}: {findings.counts[name]} real boxes, assets from {source.told}.")
    if findings.resize is not None:
        output.message(f"The scene is scaled by {findings.resize.scale:g}: {findings.resize.told}.")
    for sentence in todo:
        output.message(f"To do: {sentence}")
    values = {
        "recipe": out,
        "classes": list(findings.sources),
        "surfaces": findings.surfaces,
        "scale": findings.resize.scale if findings.resize is not None else 1.0,
        "todo": todo,
    }
    output.result(values, f"Wrote {out}. {'Then: ' if todo else 'Next: '}twinset render {out} -o dataset")


def look(blend: Path, coco: Path) -> Findings:
    """Open both files and match the classes of one with the names in the other."""
    from ....dataset.formats.coco import read_coco

    counts = {name: count for name, count in read_coco(coco).classes().items() if count}
    # Opened only now: a wrong COCO file is told without waiting for Blender.
    reserve_stdout()
    from ....blender.scene.description import describe_scene
    from ....blender.scene.open_scene import open_scene
    from ....blender.scene.resize import resize_scene

    room = Recipe(classes=(), scene=SceneSettings(file=str(blend.resolve())), folder=blend.resolve().parent)
    opened = open_scene(room)
    scene = describe_scene(opened)
    resize = proportion(scene["boxes"])
    if resize is not None:
        resize_scene(opened, resize.scale)
        scene = describe_scene(opened)
    objects = sorted(o.name for o in opened.objects if o.parent is None and _shows_something(o))
    members = {name: len(held) for name, held in scene["collections"].items()}
    sources, loose = {}, {}
    taken: set[str] = set()
    for name in counts:
        source = class_source(name, members, objects)
        if source is None:
            continue
        own = source.objects or scene["collections"][source.collection]
        pieces = {thing: loose_parts(thing, scene["boxes"], counts) for thing in own}
        if any(pieces.values()):
            # Each piece would be an asset of its own, and the others stay behind where it is moved.
            loose[name] = sorted({part for thing, parts in pieces.items() if parts for part in (thing, *parts)})
            continue
        sources[name] = source
        taken.update(own)
    # What belongs to an asset moves with it, so nothing can stand on it.
    free = [row for row in scene["surfaces"] if not taken & {row[0], scene["roots"][row[0]]}]
    return Findings(scene, counts, sources, loose, likely_surfaces(free, ()), resize)


def recipe_text(found: Findings, blend: str, coco: str) -> str:
    """The recipe as TOML with comments; what could not be guessed is marked TODO."""
    size = " x ".join(f"{v:.1f}" for v in found.scene["size"])
    lights = ", ".join(found.scene["lights"]) or "none, so Twinset adds one"
    lines = [
        "# A first recipe, guessed from the scene and the annotations. Reference: twinset schema --markdown",
        "seed = 0",
        "images = 100",
        "",
        "[real]",
        f"annotations = {toml_value(coco)}",
        "",
        f"# {size} m. Lights: {lights}.",
        "[scene]",
        f"file = {toml_value(blend)}",
        *([f"scale = {found.resize.scale:g}  # {found.resize.told}"] if found.resize is not None else []),
        *_classes(found),
        *_placement(found),
        *_cameras(found),
        "",
        "# Frames show boxes as large as the real ones, and where those are.",
        "[target]",
        'plugin = "bbox_area_gmm"',
        *([f"classes = {toml_value(list(found.sources))}"] if found.sources else []),
        "",
        "# Light from all around, which varies from frame to frame:",
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
        "# Parts to train, validate and test with that have no shape in common:",
        "# [split]",
        "# val = 0.1",
        "# test = 0.1",
    ]
    return "\n".join(lines) + "\n"


def _classes(found: Findings) -> list[str]:
    lines = []
    for name, source in found.sources.items():
        lines += ["", f"# {found.counts[name]} real boxes. Guessed from {source.told}.", "[[class]]"]
        lines += [f"name = {toml_value(name)}", *source.toml, *_size_hint(name, "# ")]
    for name, pieces in found.loose.items():
        lines += ["", *(f"# {line}" for line in wrap(f"TODO: {_loose_told(found, name, pieces)}", 110))]
    idle = found.idle
    if not found.sources and idle:
        lines += [
            "",
            "# TODO: nothing in the scene can be used for a class of the annotations. Say where its assets come from:",
            '# models = ["chairs/*.glb"], collection = "Chairs" or objects = ["Chair*"]',
            "[[class]]",
            f"name = {toml_value(idle[0])}",
            *_size_hint(idle[0], ""),
        ]
        idle = idle[1:]
    if idle:
        lines += ["", "# Classes that nothing in the scene can be used for; give models to use them."]
    for name in idle[:MOST_IDLE]:
        folder = name.replace(" ", "_")
        lines += [f"# [[class]]  # {found.counts[name]} real boxes", f"# name = {toml_value(name)}"]
        lines += [f"# models = [{toml_value(f'models/{folder}/*.glb')}]", *_size_hint(name, "# ")]
    if len(idle) > MOST_IDLE:
        lines.append(f"# ... and {len(idle) - MOST_IDLE} more.")
    return lines


def _size_hint(name: str, mark: str) -> list[str]:
    for key, table in (("height", HEIGHT), ("longest_side", LONGEST)):
        if name in table:
            return [f"{mark}{key} = {toml_value(list(table[name]))}  # metres, as such things usually are"]
    return []


def _placement(found: Findings) -> list[str]:
    listed = [f"{name} ({area:.1f} m², {low:.2f} to {high:.2f} m high)" for name, area, low, high in _top(found)]
    told = [f"# Largest faces that look up: {', '.join(listed)}." if listed else "# No face of the scene looks up."]
    if not found.surfaces:
        todo = "# TODO: name surfaces to stand things on; until then they stay where they are in the scene."
        return ["", *told, todo, "[[placement]]", 'plugin = "keep"']
    return ["", *told, "[[placement]]", 'plugin = "on_surface"', f"surfaces = {toml_value(found.surfaces)}"]


def _top(found: Findings) -> list[Any]:
    return list(found.scene["surfaces"][:6])


def _cameras(found: Findings) -> list[str]:
    cameras = ", ".join(found.scene["cameras"])
    note = [f'# The scene\'s own cameras ({cameras}) are used by plugin = "keep".'] if cameras else []
    return ["", "# Poses are solved for the target's boxes.", *note, "[[camera]]", 'plugin = "framed"']


def _to_do(found: Findings, path: Path) -> list[str]:
    """What is left to people: what keeps the recipe from running first, then what would be better."""
    todo = []
    try:
        load_recipe(path)
    except RecipeError as error:
        todo += error.problems
    if not found.surfaces:
        todo.append("Name surfaces in [[placement]] to stand things on; until then they stay where they are.")
    if found.resize is not None:
        todo.append(f"Check [scene] scale = {found.resize.scale:g}: {found.resize.told}.")
    todo += [_loose_told(found, name, pieces) for name, pieces in found.loose.items()]
    without = [name for name in found.idle if name not in found.loose]
    if without and found.sources:
        shown = ", ".join(without[:MOST_IDLE]) + (
            f" and {len(without) - MOST_IDLE} more" if without[MOST_IDLE:] else ""
        )
        todo.append(f"Give models for the classes that nothing in the scene shows, or do without them: {shown}.")
    return todo


def _loose_told(found: Findings, name: str, pieces: list[str]) -> str:
    shown = ", ".join(pieces[:4]) + (", ..." if len(pieces) > 4 else "")
    return (
        f"The class '{name}' ({found.counts[name]} real boxes) is there in loose pieces ({shown}), which stay as they "
        "are. To use it, parent them to one of them in Blender."
    )


def _relative(path: Path, out: Path) -> str:
    return relative(str(path.resolve()), out.resolve().parent)


def _shows_something(thing: Any) -> bool:
    """Whether an object of the scene, or something below it, has faces or instances a collection."""
    parts = [thing, *thing.children_recursive]
    return any(p.type in ("MESH", "CURVE", "SURFACE", "FONT", "META") or p.instance_type == "COLLECTION" for p in parts)
