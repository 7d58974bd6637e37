# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a recipe: the optics of a real camera."""

from __future__ import annotations

from typing import cast

import attrs

from ...plugin.params import param
from ...scene.intrinsics import COEFFICIENTS, Distortion, Intrinsics


@attrs.frozen
class CameraModelSettings:
    """The real camera whose focal length, principal point and distortion all images have.

    Without file and focal_length, images are those of a pinhole whose focal length the cameras of the recipe draw.
    """

    file: str = param(
        "",
        path=True,
        doc="Calibration file: OpenCV (YAML or JSON), ROS camera_info, Kalibr camchain or COLMAP cameras.txt",
    )
    camera: str = param("", doc="Name or id of the camera, for a file with several")
    focal_length: list[float] = param(
        [], min=0.0, min_exclusive=True, unit="px", doc="Focal length, or the horizontal and the vertical one"
    )
    principal_point: list[float] = param(
        [],
        unit="px",
        doc="Its distance from the left and upper border, half a pixel more than in OpenCV; default is the middle",
    )
    distortion: str = param(
        "none",
        choices=tuple(COEFFICIENTS),
        doc="Model of the lens: that of cv2.projectPoints (Brown, Conrady) or of cv2.fisheye (Kannala, Brandt); with a "
        "file only where that does not say",
    )
    coefficients: list[float] = param(
        [], doc="Coefficients in OpenCV's order: k1, k2, p1, p2, k3, k4, k5, k6, or k1 to k4 of a fisheye"
    )
    size: list[int] = param(
        [], min=1, unit="px", doc="Width and height of the calibrated image; default is that of the file or of [output]"
    )
    crop: list[int] = param(
        [], unit="px", doc="The part of the calibrated image that is used: left, top, width and height; default is all"
    )
    rotation: int = param(
        0, min=0, max=270, unit="deg", doc="Clockwise rotation of the image after cropping: 0, 90, 180 or 270"
    )

    def __attrs_post_init__(self) -> None:
        for name, counts in (("focal_length", (1, 2)), ("principal_point", (2,)), ("size", (2,)), ("crop", (4,))):
            values = getattr(self, name)
            if values and len(values) not in counts:
                expected = " or ".join(str(n) for n in counts)
                raise ValueError(f"'{name}' must have {expected} numbers. It has {len(values)}.")
        if self.rotation % 90:
            raise ValueError(f"'rotation' must be 0, 90, 180 or 270. It is {self.rotation}.")
        if self.crop and min(self.crop[2:]) < 1:
            raise ValueError(f"'crop' must have a width and height above 0. It is {self.crop}.")
        given = [name for name in ("principal_point", "coefficients") if getattr(self, name)]
        if self.file and (self.focal_length or given):
            name = "focal_length" if self.focal_length else given[0]
            raise ValueError(f"The calibration file says '{name}'. Remove '{name}' or 'file'.")
        given += ["distortion"] if self.distortion != "none" else []
        given += [name for name in ("camera", "size", "crop", "rotation") if getattr(self, name)]
        if given and not self.is_set:
            raise ValueError(f"'{given[0]}' needs a camera. Add 'file' or 'focal_length'.")
        if self.camera and not self.file:
            raise ValueError("'camera' names a camera of a file. Add 'file', or remove 'camera'.")
        if self.focal_length:
            self.stated(1, 1)

    @property
    def is_set(self) -> bool:
        """Whether the recipe has a camera."""
        return bool(self.file or self.focal_length)

    def stated(self, width: int, height: int) -> Intrinsics:
        """The camera that the table itself describes, with an image of this size unless it says otherwise.

        Raises ValueError where it cannot be one.
        """
        width, height = self.size or (width, height)
        focal = (self.focal_length[0], self.focal_length[-1])
        center = (self.principal_point[0], self.principal_point[1]) if self.principal_point else (width / 2, height / 2)
        coefficients = tuple(self.coefficients)
        if self.distortion == "fisheye" and not coefficients:
            coefficients = (0.0,) * 4
        elif self.distortion == "brown_conrady" and len(coefficients) not in COEFFICIENTS[self.distortion]:
            # As in OpenCV, what is missing at the end is 0.
            coefficients += (0.0,) * (8 - len(coefficients))
        return Intrinsics(width, height, focal, center, cast(Distortion, self.distortion), coefficients)
