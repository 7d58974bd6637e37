# SPDX-License-Identifier: GPL-3.0-or-later
"""World, lights and background picture of a scene: changed for a frame, and given back exactly.

The artist's world is never touched: the first change puts a copy in its place. What belongs to Twinset carries a custom
property, so that giving back needs no list that could go stale.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import bpy

from ...engine.errors import StageError

_OWN = "twinset_own"
_BASE = "twinset_base"
_ORIGINAL = "twinset_original"
_SURFACE = "twinset_surface"
_ENVIRONMENT = "twinset_environment"
_PICTURE = "twinset_picture"

_MAP_WIDTH = 1024
"""Width of Cycles' importance map of the world, which a changed world makes anew for each frame. The automatic size
takes 1.4 s of two slow cores, this one 0.1 s, and the noise is the same for HDRIs of 1024 pixels."""


@attrs.frozen(eq=False)
class LightingState:
    """What :func:`restore` needs to know of a scene as it was."""

    world: bpy.types.World | None
    film_transparent: bool


def freeze(scene: bpy.types.Scene) -> None:
    """Take keys and drivers off the lamps, which keep their present values: a render would undo what frames change."""
    for light in _lights(scene):
        light.animation_data_clear()


def capture(scene: bpy.types.Scene) -> LightingState:
    """Note a scene's lighting before any of the functions here changes it."""
    return LightingState(scene.world, scene.render.film_transparent)


def restore(scene: bpy.types.Scene, state: LightingState, *, keep_cache: bool = False) -> None:
    """Bring world, lights and background back exactly.

    Parameters
    ----------
    scene, state
        What :func:`capture` was called with, and what it gave.
    keep_cache : bool
        Keep the working copy of the world and the pictures loaded in it for the next frame, so that a picture used
        again is not read again. They are at most one world and two pictures, and go with the next full restore.
    """
    for light in list(bpy.data.lights):
        if light.get(_OWN):
            # Takes the objects that hold the light along.
            bpy.data.lights.remove(light)
        elif _BASE in light:
            light.energy, *color = light[_BASE]
            light.color = color
            del light[_BASE]
    scene.world = state.world
    scene.render.film_transparent = state.film_transparent
    for world in [w for w in bpy.data.worlds if w.get(_OWN)]:
        world[_ENVIRONMENT] = world[_PICTURE] = False
        if not keep_cache:
            bpy.data.worlds.remove(world)
    if not keep_cache:
        for image in [i for i in bpy.data.images if i.get(_OWN)]:
            bpy.data.images.remove(image)


def set_world(
    scene: bpy.types.Scene,
    hdri: Path | None,
    color: Sequence[float],
    strength: float,
    rotation: float,
    max_radiance: float | None = None,
) -> None:
    """Light from all around.

    Parameters
    ----------
    scene : bpy.types.Scene
    hdri : Path or None
        An equirectangular picture; None lights by ``color``.
    color : (3,) float
        Linear RGB; not used with an HDRI.
    strength : float
        Factor on the light.
    rotation : float
        Degrees by which the HDRI turns about z, counter-clockwise seen from above.
    max_radiance : float, optional
        Cap on each channel of the HDRI, before ``strength``.

    Raises
    ------
    StageError
        Where the picture is missing or cannot be read.
    """
    # A broken file must leave the world as it was.
    checked = _checked(hdri, "HDRI") if hdri is not None else None
    world = _working_world(scene)
    tree = world.node_tree
    light = _node(tree, "ShaderNodeBackground", "Twinset light")
    light.inputs["Strength"].default_value = strength
    light.inputs["Color"].default_value = (*color, 1.0)
    _unlink(tree, light.inputs["Color"])
    if checked is not None:
        source = _node(tree, "ShaderNodeTexCoord", "Twinset coordinate")
        turn = _node(tree, "ShaderNodeMapping", "Twinset turn")
        # The mapping turns the direction that is looked up, so the picture turns the other way.
        turn.inputs["Rotation"].default_value = (0.0, 0.0, -math.radians(rotation))
        picture = _node(tree, "ShaderNodeTexEnvironment", "Twinset hdri")
        _put_image(picture, checked, "Twinset hdri")
        tree.links.new(source.outputs["Generated"], turn.inputs["Vector"])
        tree.links.new(turn.outputs["Vector"], picture.inputs["Vector"])
        result = picture.outputs["Color"]
        if max_radiance is not None:
            cap = _node(tree, "ShaderNodeVectorMath", "Twinset cap")
            cap.operation = "MINIMUM"
            cap.inputs[1].default_value = (max_radiance,) * 3
            tree.links.new(result, cap.inputs[0])
            result = cap.outputs["Vector"]
        tree.links.new(result, light.inputs["Color"])
    world[_ENVIRONMENT] = True
    _wire(world)
    _limit_map(world, ("AUTOMATIC", "NONE"))


def set_background(scene: bpy.types.Scene, image: Path | None) -> None:
    """Show a picture behind the scene where no geometry is; None shows the world again.

    Only camera rays see it: it neither lights nor mirrors, so light stays that of the world. It fills the frame and is
    cut, not stretched, where its aspect differs. Like all else in the render it goes through the scene's exposure and
    view transform: with the view transform "Standard" its colours come out as they are in the file, others such as AgX
    and Filmic change them as they change the scene.

    Raises
    ------
    StageError
        Where the picture is missing or cannot be read.
    """
    if image is None:
        if scene.world is not None and scene.world.get(_OWN):
            scene.world[_PICTURE] = False
            _wire(scene.world)
        return
    checked = _checked(image, "picture")
    world = _working_world(scene)
    tree = world.node_tree
    source = _node(tree, "ShaderNodeTexCoord", "Twinset coordinate")
    fit = _node(tree, "ShaderNodeMapping", "Twinset fit")
    picture = _node(tree, "ShaderNodeTexImage", "Twinset picture")
    _put_image(picture, checked, "Twinset picture")
    picture.extension = "EXTEND"
    scale_x, scale_y = _cover(scene.render, checked.width, checked.height)
    fit.inputs["Scale"].default_value = (scale_x, scale_y, 1.0)
    fit.inputs["Location"].default_value = ((1.0 - scale_x) / 2.0, (1.0 - scale_y) / 2.0, 0.0)
    tree.links.new(source.outputs["Window"], fit.inputs["Vector"])
    tree.links.new(fit.outputs["Vector"], picture.inputs["Vector"])
    emission = _node(tree, "ShaderNodeBackground", "Twinset emission")
    emission.inputs["Strength"].default_value = 1.0
    tree.links.new(picture.outputs["Color"], emission.inputs["Color"])
    scene.render.film_transparent = False
    world[_PICTURE] = True
    _wire(world)
    _limit_map(world, ("AUTOMATIC",))


def scale_lights(scene: bpy.types.Scene, factor: float, tint: Sequence[float]) -> None:
    """Multiply power and colour of every light of the scene, those inside collection instances included.

    A light shared by several objects is scaled once. Lights added by :func:`add_light` and glowing materials stay.

    Parameters
    ----------
    scene : bpy.types.Scene
    factor : float
        On the power (on the strength of suns).
    tint : (3,) float
        On the linear RGB colour.
    """
    for light in _lights(scene):
        if light.get(_OWN):
            continue
        if _BASE not in light:
            light[_BASE] = [light.energy, *light.color]
        # Colours above 1 are clipped by some versions; what is too much of the tint goes into the power.
        color = [c * t for c, t in zip(light.color, tint, strict=True)]
        peak = max(1.0, *color)
        light.energy *= factor * peak
        light.color = [c / peak for c in color]


def add_light(
    scene: bpy.types.Scene, position: Sequence[float], power: float, color: Sequence[float], radius: float
) -> bpy.types.Object:
    """Add a spherical light.

    Parameters
    ----------
    scene : bpy.types.Scene
    position : (3,) float
        In metres, world coordinates.
    power : float
        Watts, as Blender counts them for lamps.
    color : (3,) float
        Linear RGB.
    radius : float
        Metres.
    """
    light = bpy.data.lights.new("Twinset light", "POINT")
    light[_OWN] = True
    peak = max(1.0, *color)
    light.energy = power * peak
    light.color = [c / peak for c in color]
    light.shadow_soft_size = radius
    holder = bpy.data.objects.new("Twinset light", light)
    holder.location = position
    scene.collection.objects.link(holder)
    return holder


def _lights(scene: bpy.types.Scene) -> Iterator[bpy.types.Light]:
    seen: set[int] = set()
    collections = [scene.collection]
    while collections:
        collection = collections.pop()
        if collection.as_pointer() in seen:
            continue
        seen.add(collection.as_pointer())
        for holder in collection.all_objects:
            if holder.instance_type == "COLLECTION" and holder.instance_collection is not None:
                collections.append(holder.instance_collection)
            if holder.type == "LIGHT" and holder.data is not None and holder.data.as_pointer() not in seen:
                seen.add(holder.data.as_pointer())
                yield holder.data


def _working_world(scene: bpy.types.Scene) -> bpy.types.World:
    """The scene's world as a copy of our own, put in place of the artist's."""
    original = scene.world
    if original is not None and original.get(_OWN):
        return original
    name = "" if original is None else original.name_full
    for world in bpy.data.worlds:
        if world.get(_OWN) and world[_ORIGINAL] == name:
            scene.world = world
            return world
    world = bpy.data.worlds.new("Twinset world") if original is None else original.copy()
    world.name = "Twinset world"
    world[_OWN], world[_ORIGINAL] = True, name
    world[_ENVIRONMENT] = world[_PICTURE] = False
    world[_SURFACE] = _prepare_tree(world, lit=original is not None)
    scene.world = world
    return world


def _prepare_tree(world: bpy.types.World, lit: bool) -> list[str]:
    """Make sure of a node tree that gives the world's light; returns [node, socket] of its surface shader."""
    # Blender 5 always has a node tree for new worlds and warns of use_nodes; a file of an older one may have none.
    plain = world.node_tree is None or (bpy.app.version < (5, 0) and not world.use_nodes)
    if plain:
        world.use_nodes = True
    tree = world.node_tree
    if plain or not lit:
        tree.nodes.clear()
        background = tree.nodes.new("ShaderNodeBackground")
        background.inputs["Color"].default_value = (*(world.color if lit else (0.0, 0.0, 0.0)), 1.0)
        output = tree.nodes.new("ShaderNodeOutputWorld")
        tree.links.new(background.outputs["Background"], output.inputs["Surface"])
    links = _output(tree).inputs["Surface"].links
    return [links[0].from_node.name, links[0].from_socket.identifier] if links else ["", ""]


def _output(tree: bpy.types.NodeTree) -> bpy.types.Node:
    outputs = [n for n in tree.nodes if n.bl_idname == "ShaderNodeOutputWorld"]
    if not outputs:
        return tree.nodes.new("ShaderNodeOutputWorld")
    return next((n for n in outputs if n.is_active_output), outputs[0])


def _wire(world: bpy.types.World) -> None:
    """Connect to the output what the world's flags say."""
    tree = world.node_tree
    surface = _output(tree).inputs["Surface"]
    shader = None
    node, socket = world[_SURFACE]
    if world[_ENVIRONMENT]:
        shader = tree.nodes["Twinset light"].outputs["Background"]
    elif node:
        shader = next(s for s in tree.nodes[node].outputs if s.identifier == socket)
    if world[_PICTURE]:
        path = _node(tree, "ShaderNodeLightPath", "Twinset path")
        mix = _node(tree, "ShaderNodeMixShader", "Twinset behind")
        tree.links.new(path.outputs["Is Camera Ray"], mix.inputs[0])
        if shader is None:
            _unlink(tree, mix.inputs[1])
        else:
            tree.links.new(shader, mix.inputs[1])
        tree.links.new(tree.nodes["Twinset emission"].outputs["Background"], mix.inputs[2])
        shader = mix.outputs[0]
    if shader is None:
        _unlink(tree, surface)
    else:
        tree.links.new(shader, surface)


def _limit_map(world: bpy.types.World, methods: Sequence[str]) -> None:
    """Give the importance map a fixed size where Cycles samples the world by one of these methods."""
    if hasattr(world, "cycles") and world.cycles.sampling_method in methods:
        world.cycles.sampling_method = "MANUAL"
        world.cycles.sample_map_resolution = _MAP_WIDTH


def _node(tree: bpy.types.NodeTree, kind: str, name: str) -> bpy.types.Node:
    node = tree.nodes.get(name)
    if node is None:
        node = tree.nodes.new(kind)
        node.name = name
    return node


def _unlink(tree: bpy.types.NodeTree, socket: bpy.types.NodeSocket) -> None:
    for link in list(socket.links):
        tree.links.remove(link)


def _cover(render: bpy.types.RenderSettings, width: int, height: int) -> tuple[float, float]:
    """Shares of a picture's width and height that fill the frame without stretching."""
    frame = render.resolution_x * render.pixel_aspect_x / (render.resolution_y * render.pixel_aspect_y)
    ratio = frame / (width / height)
    return (ratio, 1.0) if ratio < 1.0 else (1.0, 1.0 / ratio)


@attrs.frozen
class _Checked:
    """A picture that Blender can read."""

    path: Path
    width: int
    height: int


def _checked(path: Path, what: str) -> _Checked:
    path = Path(path)
    try:
        stat = path.stat()
    except OSError as error:
        raise StageError(f"The {what} {path} cannot be read: {error.strerror}. Correct the path.") from error
    return _read_once(path, what, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=4096)
def _read_once(path: Path, what: str, _mtime: int, _bytes: int) -> _Checked:
    """Read a picture once per file and version of it: Blender reads lazily and shows a broken one as pink."""
    try:
        image = bpy.data.images.load(str(path), check_existing=False)
    except RuntimeError as error:
        raise StageError(f"Blender cannot open the {what} {path}. Replace or remove it.") from error
    try:
        width, height = image.size
    finally:
        bpy.data.images.remove(image)
    if width == 0 or height == 0:
        raise StageError(f"Blender cannot read the {what} {path}: it is damaged or no picture. Replace or remove it.")
    return _Checked(path, width, height)


def _put_image(node: bpy.types.Node, checked: _Checked, name: str) -> None:
    """Show a picture in a node; the one it showed before goes, so that memory holds one at a time."""
    old = node.image
    if old is not None and old.filepath == str(checked.path):
        return
    image = bpy.data.images.load(str(checked.path), check_existing=False)
    image.name = name
    image[_OWN] = True
    node.image = image
    if old is not None:
        bpy.data.images.remove(old)
