# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage in Blender: the only code besides the add-on that imports bpy."""

from .process.ending import release_blender_at_exit
from .process.scratch import import_blender_in_scratch_folder

import_blender_in_scratch_folder()
release_blender_at_exit()
