# SPDX-License-Identifier: GPL-3.0-or-later
"""The former place of :mod:`.geometry.support`, for plugins that still import it; goes in Twinset 0.3."""

from .moved import moved_to

__getattr__ = moved_to(
    __name__,
    "geometry.support",
    {
        "Support": "SupportRules",
        "ground_of": "find_ground",
        "surface_near": "nearest_ground_point",
        "resting_place": "supported_height",
        "body_of": "make_body",
        "turned": "yaw_tilt_rotation",
        "LIFT": "CONTACT_GAP",
    },
)
