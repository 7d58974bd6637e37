# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulates rigid bodies with Blender's, each time in a new scene, so that nothing of earlier ones is left."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator, Sequence

import bpy
import numpy as np

from ...engine.geometry.contact import centroid
from ...engine.physics.convex_pieces import convex_pieces, hull_vertices
from ...engine.scene.bodies import GRAVITY, RigidBody, Simulated, Walls
from ...engine.stage import Asset
from ..process.stdout import silenced_stdout

_MARGIN = 0.00025, 0.0005
"""By how much all shapes are larger than their meshes, in metres and in median sizes, so that nothing intersects that
is at rest; the solver lets shapes overlap a little."""

_RATE, _SUBSTEPS = 60, 4
"""Frames per unit of time, and steps in each; the unit is that in which gravity is 9.81 median sizes of the bodies."""
_ITERATIONS = 10
_CALM_SPEED = 0.08
"""Speed of a body's fastest point, in median sizes per unit of time, below which it counts as calm: that of things in
a pile, which the solver makes tremble."""
_CALM_FRAMES = 15
_SLEEP = 0.05, 0.1
"""Speed and spin below which a body may be put to sleep, in median sizes and radians per unit of time."""
_LINEAR_DAMPING = 0.04
"""Share of speed lost in a unit of time."""
_SURROUNDINGS = (0.6, 0.1)
"""Friction and bounce of what does not move."""
_WALL_HEIGHT = 100.0

_pieces: weakref.WeakKeyDictionary[Asset, dict[str, tuple[list[np.ndarray], np.ndarray]]] = weakref.WeakKeyDictionary()


def simulate(
    bodies: Sequence[RigidBody],
    obstacles: np.ndarray,
    *,
    seconds: float,
    walls: Walls | None = None,
    spin_damping: float = 0.25,
    sleep: bool = True,
) -> Simulated:
    """Let bodies fall until all are calm or the time is over.

    Parameters
    ----------
    bodies : sequence of RigidBody
        Where their instances are; they start without any speed.
    obstacles : (T, 3, 3) float
        World triangles of what does not move.
    seconds : float
        Longest time simulated.
    walls : (K, 2) float, optional
        Corners of invisible walls around the bodies.
    spin_damping : float
        Share of spin lost in a unit of time; stands for rolling friction, which Blender does not simulate.
    sleep : bool
        Whether what hardly moves may be put to sleep, as Blender does.

    Notes
    -----
    The solver's tolerances suit things of about one unit, so lengths are scaled to the median size of the bodies; the
    unit of time then follows from gravity.
    """
    sizes = [float(np.ptp(b.instance.asset.mesh.vertices, axis=0).max()) * _scale(b) for b in bodies]
    unit = max(float(np.median(sizes)), 1e-4)
    origins = np.array([b.instance.matrix[:3, 3] for b in bodies])
    middle = (origins.min(0) + origins.max(0)) / 2
    margin = _MARGIN[0] / unit + _MARGIN[1]
    time_unit = unit**0.5
    with _world() as (scene, collection):
        _add_obstacle(collection, "obstacles", (obstacles - middle) / unit, margin)
        if walls is not None:
            _add_obstacle(collection, "walls", (_wall_faces(walls, middle) - middle) / unit, margin)
        made = [_add_body(collection, f"body {k}", body, middle, unit, margin) for k, body in enumerate(bodies)]
        for o, _ in made:
            rigid = o.rigid_body
            rigid.linear_damping, rigid.angular_damping = _LINEAR_DAMPING, spin_damping
            rigid.use_deactivation = sleep
            rigid.deactivate_linear_velocity, rigid.deactivate_angular_velocity = _SLEEP
        frames = max(1, round(seconds / time_unit * _RATE))
        starts, ends, count = _run(scene, [o for o, _ in made], frames)
    speeds = _point_speeds(starts, ends, np.array(sizes) / unit) * unit / time_unit
    matrices = np.stack(
        [_asset_to_world(b, end, c, middle, unit) for b, end, (_, c) in zip(bodies, ends, made, strict=True)]
    )
    return Simulated(matrices, speeds, count / _RATE * time_unit)


def reach(bodies: Sequence[RigidBody], bounds: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Corners (3,) of the box in which bodies may meet obstacles: below them, and around by as much as they may roll.

    ``bounds`` are those of the scene.
    """
    points = np.concatenate([b.instance.outline for b in bodies])
    low, high = points.min(0), points.max(0)
    around = 1.0 + max(float((high - low).max()), float(high[2] - max(bounds[0][2], low[2] - 2.0)))
    return np.array([*(low[:2] - around), min(bounds[0][2], low[2]) - 1.0]), high + around


def _scale(body: RigidBody) -> float:
    return float(np.cbrt(np.linalg.det(body.instance.matrix[:3, :3])))


@contextlib.contextmanager
def _world() -> Iterator[tuple[bpy.types.Scene, bpy.types.Collection]]:
    """A scene with an empty rigid body world; what is in its collection is removed with it."""
    scene = bpy.data.scenes.new("Twinset physics")
    collection = bpy.data.collections.new("Twinset physics")
    scene.collection.children.link(collection)
    try:
        with silenced_stdout(), bpy.context.temp_override(scene=scene):
            bpy.ops.rigidbody.world_add()
        world = scene.rigidbody_world
        world.collection = collection
        world.substeps_per_frame, world.solver_iterations = _SUBSTEPS, _ITERATIONS
        scene.render.fps, scene.render.fps_base = _RATE, 1.0
        scene.use_gravity, scene.gravity = True, (0.0, 0.0, -GRAVITY)
        yield scene, collection
    finally:
        objects = list(collection.objects)
        meshes = [o.data for o in objects if o.data is not None]
        with silenced_stdout(), bpy.context.temp_override(scene=scene):
            bpy.ops.rigidbody.world_remove()
        bpy.data.batch_remove(objects)
        bpy.data.batch_remove(meshes)
        bpy.data.collections.remove(collection)
        bpy.data.scenes.remove(scene)


def _run(
    scene: bpy.types.Scene, objects: Sequence[bpy.types.Object], frames: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Matrices (N, 4, 4) of objects a few frames before the end and at the end, and the number of frames until then."""
    cache = scene.rigidbody_world.point_cache
    scene.frame_start, scene.frame_end = 0, frames
    cache.frame_start, cache.frame_end = 0, frames
    scene.frame_set(0)
    sizes = np.ones(len(objects))
    history = [_matrices(objects)]
    calm = 0
    for frame in range(1, frames + 1):
        scene.frame_set(frame)
        history = [*history[-5:], _matrices(objects)]
        moved = _point_speeds(history[-2], history[-1], sizes, 1) < _CALM_SPEED
        fallen = history[-1][:, 2, 3] < -1000.0
        calm = calm + 1 if (moved | fallen).all() else 0
        if calm >= _CALM_FRAMES:
            break
    return history[0], history[-1], frame


def _matrices(objects: Sequence[bpy.types.Object]) -> np.ndarray:
    return np.array([o.matrix_world for o in objects], dtype=float)


def _point_speeds(before: np.ndarray, after: np.ndarray, sizes: np.ndarray, frames: int = 5) -> np.ndarray:
    """Speed (N,) of the fastest point of bodies of these sizes, in units, between two of their matrices."""
    shift = np.linalg.norm(after[:, :3, 3] - before[:, :3, 3], axis=1)
    turn = np.linalg.norm(after[:, :3, :3] - before[:, :3, :3], axis=(1, 2)) / 2**0.5
    return np.asarray((shift + turn * sizes / 2) * _RATE / frames)


def _add_body(
    collection: bpy.types.Collection, name: str, body: RigidBody, middle: np.ndarray, unit: float, margin: float
) -> tuple[bpy.types.Object, np.ndarray]:
    """The object of a body, whose origin is the centre of gravity, and that centre (3,) in the asset's frame."""
    from mathutils import Matrix

    pieces, center = _shape(body.instance.asset, body.shape)
    factor = _scale(body) / unit
    matrix = np.eye(4)
    matrix[:3, :3] = body.instance.matrix[:3, :3] / _scale(body)
    world_center = body.instance.matrix[:3, :3] @ center + body.instance.matrix[:3, 3]
    matrix[:3, 3] = (world_center - middle) / unit
    clouds = [(piece - center) * factor for piece in pieces]
    kind = "CONVEX_HULL"
    if body.shape == "mesh":
        mesh = body.instance.asset.mesh
        data = _mesh(name, (mesh.vertices - center) * factor, mesh.triangles)
        kind = "MESH"
    elif len(clouds) > 1:
        # Only the shapes of its children count, but it must be a mesh to be a rigid body.
        data = _mesh(name, np.concatenate(clouds))
        kind = "COMPOUND"
    else:
        data = _mesh(name, clouds[0])
    made = bpy.data.objects.new(name, data)
    made.matrix_world = Matrix(matrix.tolist())
    collection.objects.link(made)
    if kind == "COMPOUND":
        for k, cloud in enumerate(clouds):
            child = bpy.data.objects.new(f"{name} piece {k}", _mesh(f"{name} piece {k}", cloud))
            child.parent = made
            collection.objects.link(child)
            _make_rigid(child, "CONVEX_HULL", margin, body.friction, body.bounce)
    _make_rigid(made, kind, margin, body.friction, body.bounce)
    made.rigid_body.type, made.rigid_body.mass = "ACTIVE", max(body.mass, 1e-3)
    return made, center


def _make_rigid(o: bpy.types.Object, kind: str, margin: float, friction: float, bounce: float) -> None:
    rigid = o.rigid_body
    rigid.collision_shape, rigid.mesh_source = kind, "BASE"
    rigid.use_margin, rigid.collision_margin = True, margin
    # Bullet multiplies the coefficients of two bodies.
    rigid.friction, rigid.restitution = friction**0.5, bounce**0.5


def _add_obstacle(collection: bpy.types.Collection, name: str, corners: np.ndarray, margin: float) -> None:
    if not len(corners):
        return
    o = bpy.data.objects.new(name, _mesh(name, corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3)))
    collection.objects.link(o)
    o.rigid_body.type = "PASSIVE"
    _make_rigid(o, "MESH", margin, *_SURROUNDINGS)


def _mesh(name: str, vertices: np.ndarray, triangles: np.ndarray | None = None) -> bpy.types.Mesh:
    """A mesh of triangles, or of points whose hull counts."""
    data = bpy.data.meshes.new(name)
    data.vertices.add(len(vertices))
    data.vertices.foreach_set("co", np.asarray(vertices, np.float32).ravel())
    if triangles is not None:
        data.loops.add(3 * len(triangles))
        data.loops.foreach_set("vertex_index", np.asarray(triangles, np.int32).ravel())
        data.polygons.add(len(triangles))
        data.polygons.foreach_set("loop_start", np.arange(0, 3 * len(triangles), 3, dtype=np.int32))
        data.update(calc_edges=True)
    return data


def _shape(asset: Asset, kind: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Vertices of the convex pieces of an asset, in its frame, and its centre of gravity (3,)."""
    known = _pieces.setdefault(asset, {})
    if kind not in known:
        mesh = asset.mesh
        pieces = []
        if kind == "compound":
            pieces = convex_pieces(mesh)
        elif kind == "convex_hull":
            pieces = [hull_vertices(mesh.vertices[np.unique(mesh.triangles)])[0]]
        known[kind] = pieces, centroid(mesh.vertices, mesh.triangles)
    return known[kind]


def _wall_faces(walls: Walls, middle: np.ndarray) -> np.ndarray:
    bottom, top = middle[2] - _WALL_HEIGHT, middle[2] + _WALL_HEIGHT
    ring = walls.tolist()
    faces = []
    for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
        faces += [[(*a, bottom), (*b, bottom), (*b, top)], [(*a, bottom), (*b, top), (*a, top)]]
    return np.array(faces, dtype=float)


def _asset_to_world(
    body: RigidBody, end: np.ndarray, center: np.ndarray, middle: np.ndarray, unit: float
) -> np.ndarray:
    """The matrix (4, 4) of an asset whose centre of gravity has the simulated matrix ``end``."""
    from mathutils import Matrix

    turn = np.array(Matrix(end.tolist()).to_quaternion().normalized().to_matrix(), dtype=float)
    matrix = np.eye(4)
    matrix[:3, :3] = _scale(body) * turn
    matrix[:3, 3] = end[:3, 3] * unit + middle - matrix[:3, :3] @ center
    return matrix
