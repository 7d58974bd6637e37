# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference page of recipes, written from the declarations so that it cannot drift from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..plugin.contract import KINDS
from ..plugin.params import Param, describe, plain_value
from ..plugin.registry import Registry, default, summary
from .extending import ExtendingSettings
from .reading import default_ids
from .settings import LISTS, TABLES, JobSettings, ModelSettings, Room, Variant
from .writing import toml_value

_INTRO = """# Recipe reference

<!-- Written by `twinset schema --markdown > docs/recipes/reference.md`. Change the declarations, not this page. -->

A recipe is one TOML file that describes a whole job. Relative paths start at its folder; keys that take several files
accept glob patterns. Lengths are in metres, angles in degrees, areas and centres relative to the image. A range is
written `[low, high]`. Unknown tables and keys are errors; all errors are reported at once, with their lines.
`twinset schema` prints the same as a JSON schema, which editors understand.

The smallest recipe:

```toml
[scene]
builtin = "hall"

[[class]]
name = "chair"
builtin = "chair"

[[placement]]
plugin = "on_surface"
surfaces = ["Floor"]
```
"""

_EXTENDING_NOTES = """
A recipe with `extends` holds what differs from another recipe, which may extend a third one:

```toml
extends = "base.toml"
without = ["target", "camera"]

images = 400

[render]
samples = 4

[[camera]]
plugin = "orbit"
distance = [0.5, 8.0]

[[class]]
name = "chair"
exclude = ["*office*"]
```

- Keys and tables: a key given here replaces that of the other recipe; the table's other keys stay. A `[target]` of
  another plugin replaces the whole table.
- Arrays of tables, such as `[[class]]` and `[[camera]]`: a table with the name (`[[class]]`, `[[distractor]]`,
  `[[room]]`, `[[variant]]`, `[[scene.models]]`), column (`[[goal]]`) or plugin of one in the other recipe changes the
  keys that it gives; any other is added at the end.
- `without` removes from the other recipe, before anything else: `"target"`, all cameras by `"camera"`, one by
  `"camera.orbit"` or by its number, `"camera.1"`, a key by `"class.chair.height"`.

Relative paths start at the folder of the file that states them. Error messages name that file and its line. The
recipe in the output folder is whole: it names no other recipe, and later changes of the other recipe do not affect it.
"""

_VARIANT_NOTES = """
Variants share the frames by `weight`. Each lists its changes as `kind.plugin.parameter`; the rest stays as above.
`enabled = false` removes a plugin. If a recipe uses a plugin twice, write its number among its kind, from 1, instead
of its id. Kinds: placement, appearance, camera, effect, target and filter. `twinset tune` writes variants; you can,
too:

```toml
[[variant]]
name = "near"
weight = 2
camera.orbit.distance = [1.0, 2.0]

[[variant]]
name = "far and crowded"
camera.orbit.distance = [4.0, 8.0]
placement.1.count = [5, 9]
target.bbox_area_gmm.enabled = false
```
"""

_ROOM_NOTES = """
Models of a room are `[[room.models]]`, with the keys of `[[scene.models]]`. A block of frames is in one room, and each
process opens rooms one after the other: lower `block_size` in `[render]` to spread few frames over many rooms. Other
differences between rooms are written as in a variant; the reachable boxes are determined for each room:

```toml
[[room]]
name = "hall"
builtin = "hall"
weight = 2
placement.on_surface.surfaces = ["Floor"]

[[room]]
name = "bedroom"
file = "bedroom.blend"
placement.on_surface.surfaces = ["Floor", "BedCover"]
```
"""

_SPLIT_NOTES = """
Each frame belongs to one part and shows only assets of that part. The assets of each class are divided by the seed, at
least one for each part; rotated or scaled copies of one shape stay together. `annotations/` gets a file per part, such
as `instances_train.json`, with the same categories and ids as the whole, and `data.yaml` names them:

```toml
[split]
val = 0.1
test = 0.1
```
"""

_KIND_NOTES = {
    "placement": "Puts instances on the stage; several run in order.",
    "appearance": "Varies lights, world, materials and background; several run in order.",
    "camera": "Poses the camera; several share the frames by `weight`.",
    "effect": "Changes the finished picture as a camera would; several run in order.",
    "target": "Learns from the real boxes what frames should show. At most one; needs `[real]`.",
    "metric": "Measures metadata.",
    "filter": "Accepts or rejects a shot.",
    "writer": "Puts the dataset into files of one format, beside the COCO files that every dataset has.",
}


def kind_note(kind: str, registry: Registry) -> str:
    """What plugins of a kind do, and which of them a recipe gets that names none."""
    return f"{_KIND_NOTES[kind]} {_default_note(kind, registry)}".rstrip()


def _default_note(kind: str, registry: Registry) -> str:
    plain, with_target = (default_ids(kind, registry, has_target=target) for target in (False, True))
    if kind == "target":
        return ""
    if plain != with_target:
        return f"Default: {_quoted(with_target)} with a target, else {_quoted(plain)}."
    none = f"; `{kind} = []` for none" if kind in ("metric", "filter") else ""
    if len(plain) > 1 and plain == registry.ids(kind, builtin=True):
        return f"Default: all built-in ones{none}."
    return f"Default: {_quoted(plain) or 'none'}{none}."


def _quoted(ids: Sequence[str]) -> str:
    return ", ".join(f"`{id}`" for id in ids)


def recipe_reference(registry: Registry | None = None) -> str:
    """The page as Markdown; built-in plugins only, for it is the same on every machine."""
    return "\n".join(_lines(registry or default()))


def _lines(registry: Registry) -> Iterator[str]:
    yield _INTRO
    yield "## Above the first table\n"
    yield from parameter_table(describe(JobSettings))
    yield "## Extending another recipe\n\nThese two keys stand above the first table, too.\n"
    yield from parameter_table(describe(ExtendingSettings))
    yield _EXTENDING_NOTES.strip() + "\n"
    for key, cls in TABLES.items():
        yield f"## [{key}]\n\n{summary(cls)}\n"
        yield from parameter_table(describe(cls))
        if key == "split":
            yield _SPLIT_NOTES.strip() + "\n"
        if key == "scene":
            yield f"## [[scene.models]]\n\n{summary(ModelSettings)}\n"
            yield from parameter_table(describe(ModelSettings))
    for key, cls in LISTS.items():
        yield f"## [[{key}]]\n\n{summary(cls)}\n"
        yield from parameter_table(describe(cls))
    for kind in KINDS:
        title = "[target]" if kind == "target" else f"[[{kind}]]"
        yield f'## {title}\n\n{kind_note(kind, registry)} Each table names its plugin: `plugin = "id"`.\n'
        for id in registry.ids(kind, builtin=True):
            cls = registry.find(kind, id)
            yield f"### {kind} `{id}`\n\n{summary(cls)}\n"
            yield from parameter_table(describe(cls))
    yield f"## [[room]]\n\n{summary(Room)}\n"
    yield from parameter_table(describe(Room))
    yield _ROOM_NOTES.strip() + "\n"
    yield f"## [[variant]]\n\n{summary(Variant)}\n"
    yield from parameter_table(describe(Variant))
    yield _VARIANT_NOTES.strip() + "\n"


def parameter_table(params: list[Param]) -> Iterator[str]:
    """The lines of a Markdown table of parameters."""
    if not params:
        yield "No parameters.\n"
        return
    yield "| key | value | default | meaning |\n| --- | --- | --- | --- |"
    for p in params:
        meaning = _cell(p.doc) + (f" ({p.unit})" if p.unit else "")
        yield f"| `{p.name}` | {_cell(p.expected())} | {_default(p)} | {meaning} |"
    yield ""


def _default(p: Param) -> str:
    if p.required:
        return "required"
    return "" if p.default is None else f"`{_cell(toml_value(plain_value(p.default)))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
