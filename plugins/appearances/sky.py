# SPDX-License-Identifier: GPL-3.0-or-later
"""A clear sky with its sun, by the sun's position or by place, day and hour."""

from __future__ import annotations

import math

import numpy as np

from ...engine.plugin import Range, param, plugin
from ...engine.stage import Stage


@plugin("appearance")
class Sky:
    """Light the scene by a clear sky and its sun, as at a place, day and hour or with the sun anywhere.

    The sky is computed by Blender [Nishita et al., "Display of the Earth taking into account atmospheric scattering",
    1993]. It replaces the world of the scene, and light comes in by windows.
    """

    elevation_range: Range = param(
        (10.0, 60.0),
        min=-5.0,
        max=90.0,
        unit="deg",
        doc="Elevation of the sun; not used where a latitude is given",
        moves={"brightness": "+"},
    )
    azimuth_range: Range = param(
        (0.0, 360.0), unit="deg", doc="Direction of the sun, clockwise from the y axis seen from above"
    )
    latitude: float | None = param(
        None, min=-90.0, max=90.0, unit="deg", doc="Latitude of the place; days and hours then give the sun's position"
    )
    day_range: Range = param((1.0, 365.0), min=1.0, max=366.0, doc="Day of the year, with a latitude")
    hour_range: Range = param(
        (8.0, 17.0), min=0.0, max=24.0, doc="Solar time in hours, at which the sun is highest at 12, with a latitude"
    )
    north: float = param(0.0, unit="deg", doc="Direction of north, clockwise from the y axis, with a latitude")
    strength_range: Range = param(
        (0.05, 0.2),
        min=0.0,
        min_exclusive=True,
        soft_max=1.0,
        doc="Factor for the light; drawn log-uniformly",
        moves={"brightness": "+"},
    )
    air_range: Range = param((1.0, 1.0), min=0.0, max=10.0, doc="Density of the air; more makes the sky bluer")
    dust_range: Range = param(
        (0.5, 3.0), min=0.0, max=10.0, doc="Density of dust and haze: more makes the sky whiter (turbidity)"
    )
    sun_disc: bool = param(True, doc="Whether the sun itself shines, with sharp shadows", moves={"contrast": "+"})

    lights_scene = True

    def vary(self, stage: Stage, rng: np.random.Generator) -> None:
        """Set the sky of this frame."""
        # All draws are made whatever their use, so that one parameter does not change what another one draws.
        first, second, strength, air, dust = rng.random(5)
        if self.latitude is None:
            elevation, azimuth = _within(self.elevation_range, first), _within(self.azimuth_range, second)
        else:
            day, hour = _within(self.day_range, first), _within(self.hour_range, second)
            elevation, azimuth = sun_position(self.latitude, day, hour)
            azimuth = (azimuth + self.north) % 360.0
        low, high = self.strength_range
        stage.set_sky(
            sun_elevation=elevation,
            sun_azimuth=azimuth,
            strength=low * (high / low) ** strength,
            air=_within(self.air_range, air),
            dust=_within(self.dust_range, dust),
            sun_disc=self.sun_disc,
        )


def sun_position(latitude: float, day: float, hour: float) -> tuple[float, float]:
    """Elevation of the sun and its azimuth clockwise from north, in degrees.

    Parameters
    ----------
    latitude : float
        Degrees, positive in the north.
    day : float
        Of the year, from 1. The declination is that of Cooper, "The absorption of radiation in solar stills", 1969,
        within half a degree.
    hour : float
        Solar time.
    """
    declination = math.radians(23.45 * math.sin(2.0 * math.pi * (284.0 + day) / 365.0))
    place, turn = math.radians(latitude), math.radians(15.0 * (hour - 12.0))
    east = -math.cos(declination) * math.sin(turn)
    north = math.cos(place) * math.sin(declination) - math.sin(place) * math.cos(declination) * math.cos(turn)
    up = math.sin(place) * math.sin(declination) + math.cos(place) * math.cos(declination) * math.cos(turn)
    return math.degrees(math.asin(min(1.0, max(-1.0, up)))), math.degrees(math.atan2(east, north)) % 360.0


def _within(bounds: Range, share: float) -> float:
    return bounds[0] + share * (bounds[1] - bounds[0])
