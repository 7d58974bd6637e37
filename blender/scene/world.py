# SPDX-License-Identifier: GPL-3.0-or-later
"""The world of a scene: light from all around and a background picture, in a copy that replaces the user's world."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import bpy

from .ownership import OWNED
from .picture_files import PictureFile, check_picture

_ORIGINAL = "twinset_original"
_SURFACE = "twinset_surface"
_ENVIRONMENT = "twinset_environment"
_PICTURE = "twinset_picture"

_MAP_WIDTH = 1024
"""Width of Cycles' importance map, which a changed world recomputes for each frame. The automatic size takes 1.4 s on
two slow cores, this one 0.1 s; the noise is the same for HDRIs of 1024 pixels."""


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
        An equirectangular picture; None for light of ``color``.
    color : (3,) float
        Linear RGB; not used with an HDRI.
    strength : float
        Factor on the light.
    rotation : float
        Degrees by which the HDRI is rotated about z, counter-clockwise seen from above.
    max_radiance : float, optional
        Upper limit of each channel of the HDRI, before ``strength``.

    Raises
    ------
    StageError
        If the picture is missing or cannot be read.
    """
    # Check the file first: an unreadable one must leave the world unchanged.
    picture_file = check_picture(hdri, "HDRI") if hdri is not None else None
    world = _working_world(scene)
    tree = world.node_tree
    light = _node(tree, "ShaderNodeBackground", "Twinset light")
    light.inputs["Strength"].default_value = strength
    light.inputs["Color"].default_value = (*color, 1.0)
    _unlink(tree, light.inputs["Color"])
    if picture_file is not None:
        source = _node(tree, "ShaderNodeTexCoord", "Twinset coordinate")
        turn = _node(tree, "ShaderNodeMapping", "Twinset turn")
        # The mapping rotates the direction of the lookup, so the picture rotates the other way.
        turn.inputs["Rotation"].default_value = (0.0, 0.0, -math.radians(rotation))
        picture = _node(tree, "ShaderNodeTexEnvironment", "Twinset hdri")
        _put_image(picture, picture_file, "Twinset hdri")
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
    _connect(world)
    _limit_importance_map(world, ("AUTOMATIC", "NONE"))


def set_sky(
    scene: bpy.types.Scene,
    *,
    sun_elevation: float,
    sun_azimuth: float,
    strength: float,
    air: float,
    dust: float,
    sun_disc: bool,
) -> None:
    """Light from a clear sky by the model of Nishita et al., 1993; see :meth:`...engine.stage.Stage.set_sky`."""
    world = _working_world(scene)
    tree = world.node_tree
    light = _node(tree, "ShaderNodeBackground", "Twinset light")
    light.inputs["Strength"].default_value = strength
    sky = _node(tree, "ShaderNodeTexSky", "Twinset sky")
    # Blender 5 has it under another name, beside one with multiple scattering.
    kinds = sky.bl_rna.properties["sky_type"].enum_items.keys()
    sky.sky_type = "NISHITA" if "NISHITA" in kinds else "SINGLE_SCATTERING"
    sky.sun_elevation = math.radians(sun_elevation)
    sky.sun_rotation = math.radians(sun_azimuth) % (2 * math.pi)
    sky.sun_disc = sun_disc
    sky.air_density = air
    setattr(sky, "dust_density" if hasattr(sky, "dust_density") else "aerosol_density", dust)
    tree.links.new(sky.outputs["Color"], light.inputs["Color"])
    world[_ENVIRONMENT] = True
    _connect(world)
    _limit_importance_map(world, ("AUTOMATIC", "NONE"))


def set_background(scene: bpy.types.Scene, image: Path | None) -> None:
    """Show a picture behind the scene where there is no geometry; None shows the world again.

    Only camera rays see it: it neither lights the scene nor appears in reflections. It fills the frame and is cropped,
    not stretched, if its aspect ratio differs. Like the rest of the render it passes through the scene's exposure and
    view transform: "Standard" keeps the colours of the file, others such as AgX and Filmic change them.

    Raises
    ------
    StageError
        If the picture is missing or cannot be read.
    """
    if image is None:
        if scene.world is not None and scene.world.get(OWNED):
            scene.world[_PICTURE] = False
            _connect(scene.world)
        return
    picture_file = check_picture(image, "picture")
    world = _working_world(scene)
    tree = world.node_tree
    source = _node(tree, "ShaderNodeTexCoord", "Twinset coordinate")
    fit = _node(tree, "ShaderNodeMapping", "Twinset fit")
    picture = _node(tree, "ShaderNodeTexImage", "Twinset picture")
    _put_image(picture, picture_file, "Twinset picture")
    picture.extension = "EXTEND"
    scale_x, scale_y = _covering_scale(scene.render, picture_file.width, picture_file.height)
    fit.inputs["Scale"].default_value = (scale_x, scale_y, 1.0)
    fit.inputs["Location"].default_value = ((1.0 - scale_x) / 2.0, (1.0 - scale_y) / 2.0, 0.0)
    tree.links.new(source.outputs["Window"], fit.inputs["Vector"])
    tree.links.new(fit.outputs["Vector"], picture.inputs["Vector"])
    emission = _node(tree, "ShaderNodeBackground", "Twinset emission")
    emission.inputs["Strength"].default_value = 1.0
    tree.links.new(picture.outputs["Color"], emission.inputs["Color"])
    scene.render.film_transparent = False
    world[_PICTURE] = True
    _connect(world)
    _limit_importance_map(world, ("AUTOMATIC",))


def remove_changes(*, keep_cache: bool) -> None:
    """Clear what the functions here have set; see :func:`.lighting.restore` for ``keep_cache``."""
    for world in [w for w in bpy.data.worlds if w.get(OWNED)]:
        world[_ENVIRONMENT] = world[_PICTURE] = False
        if not keep_cache:
            bpy.data.worlds.remove(world)
    if not keep_cache:
        for image in [i for i in bpy.data.images if i.get(OWNED)]:
            bpy.data.images.remove(image)


def _working_world(scene: bpy.types.Scene) -> bpy.types.World:
    """The copy of the user's world that is changed in its place; created and set when first needed."""
    original = scene.world
    if original is not None and original.get(OWNED):
        return original
    name = "" if original is None else original.name_full
    taken = {other.world for other in bpy.data.scenes if other != scene}  # by samples that other scenes show
    for world in bpy.data.worlds:
        if world.get(OWNED) and world[_ORIGINAL] == name and world not in taken:
            scene.world = world
            return world
    world = bpy.data.worlds.new("Twinset world") if original is None else original.copy()
    world.name = "Twinset world"
    world[OWNED], world[_ORIGINAL] = True, name
    world[_ENVIRONMENT] = world[_PICTURE] = False
    world[_SURFACE] = _prepare_tree(world, lit=original is not None)
    scene.world = world
    return world


def _prepare_tree(world: bpy.types.World, lit: bool) -> list[str]:
    """Give the world a node tree for its light; returns [node name, socket identifier] of its surface shader."""
    # In Blender 5 new worlds always have a node tree and use_nodes is deprecated; older files may have none.
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


def _connect(world: bpy.types.World) -> None:
    """Connect the shaders that the world's custom properties select to its output."""
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


def _limit_importance_map(world: bpy.types.World, methods: Sequence[str]) -> None:
    """Give the importance map a fixed size if Cycles samples the world by one of these methods."""
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


def _covering_scale(render: bpy.types.RenderSettings, width: int, height: int) -> tuple[float, float]:
    """Shares (x, y) of a picture's width and height that fill the frame without stretching."""
    frame = render.resolution_x * render.pixel_aspect_x / (render.resolution_y * render.pixel_aspect_y)
    ratio = frame / (width / height)
    return (ratio, 1.0) if ratio < 1.0 else (1.0, 1.0 / ratio)


def _put_image(node: bpy.types.Node, picture_file: PictureFile, name: str) -> None:
    """Set the image of a node and remove its previous one, so that only one is in memory."""
    old = node.image
    if old is not None and old.filepath == str(picture_file.path):
        return
    image = bpy.data.images.load(str(picture_file.path), check_existing=False)
    image.name = name
    image[OWNED] = True
    node.image = image
    if old is not None:
        bpy.data.images.remove(old)
