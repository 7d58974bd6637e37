# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a recipe: sequences of frames, and rigs of several cameras."""

from __future__ import annotations

import attrs

from ...plugin.params import Range, param


@attrs.frozen
class SequenceSettings:
    """Runs of frames that show one layout as time goes by: the camera moves from where it was posed, and things may."""

    length: int = param(1, min=1, max=100_000, doc="Moments in a sequence; 1 for frames that are independent")
    fps: float = param(10.0, min=0.01, max=10_000.0, doc="Moments per second")
    camera: str = param(
        "curve",
        choices=("still", "curve", "circle", "walk"),
        doc="Path of the camera: none; an arc, turned towards the main instance; a circle around that instance; or a "
        "random walk that looks ahead",
    )
    speed: Range = param((0.2, 1.0), min=0.0, soft_max=5.0, unit="m/s", doc="Speed of the camera on a curve or walk")
    turn_rate: Range = param((0.0, 20.0), min=0.0, max=360.0, unit="deg/s", doc="How fast the path turns, either way")
    clearance: float = param(0.1, min=0.0, unit="m", doc="Minimum distance of all cameras to any surface")
    shake: float = param(
        0.0,
        min=0.0,
        max=45.0,
        soft_max=3.0,
        unit="deg",
        doc="Shake of a hand: standard deviation of angles",
    )
    shake_distance: float = param(
        0.0, min=0.0, soft_max=0.05, unit="m", doc="Shake of a hand: standard deviation of the place"
    )
    moving_share: float = param(0.0, min=0.0, max=1.0, doc="Share of the placed things that move along the ground")
    thing_speed: Range = param((0.2, 1.0), min=0.0, soft_max=5.0, unit="m/s", doc="Speed of things that move")
    thing_turn_rate: Range = param(
        (0.0, 45.0), min=0.0, max=360.0, unit="deg/s", doc="How fast their path turns, either way"
    )
    shutter: float = param(
        0.0, min=0.0, max=1.0, doc="Share of the time between moments that the shutter is open, which blurs motion"
    )


@attrs.frozen
class RigCamera:
    """A further camera that sees each frame's layout at the same moment, as those of a stereo or multi-camera rig."""

    name: str = param("", doc="Name in records; default is its number, from 2")
    position: tuple[float, float, float] = param(
        (0.1, 0.0, 0.0), unit="m", doc="Place in the first camera's frame: x right, y down, z forward"
    )
    rotation: tuple[float, float, float] = param(
        (0.0, 0.0, 0.0), unit="deg", doc="Rotation vector in that frame: its axis times the angle"
    )
