# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibrated cameras: files of OpenCV, ROS, Kalibr and COLMAP, and the camera of a recipe."""
