# SPDX-License-Identifier: GPL-3.0-or-later
"""How many cores libraries see, and that all cores are used again afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from twinset.headless.workers.cores import cpus, few_cores

linux = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity of processes")


@linux
@pytest.mark.skipif(cpus() < 2, reason="this machine has one core")
def test_libraries_see_few_cores_and_all_are_used_afterwards():
    usual = os.sched_getaffinity(0)
    with few_cores(1):
        assert len(os.sched_getaffinity(0)) == 1 and os.sched_getaffinity(0) < usual
    assert os.sched_getaffinity(0) == usual
    with pytest.raises(KeyError), few_cores(1):
        raise KeyError
    assert os.sched_getaffinity(0) == usual
    for threads in (0, len(usual), 1000):
        with few_cores(threads):
            assert os.sched_getaffinity(0) == usual


@linux
@pytest.mark.skipif(cpus() < 2, reason="this machine has one core")
def test_a_worker_of_one_thread_has_no_others_that_wait_for_work():
    pytest.importorskip("bpy")
    program = """
import os, sys
from pathlib import Path
import numpy
from threadpoolctl import threadpool_info
from twinset.engine.recipe.reading import loads_recipe
from twinset.headless.commands.generate.render import open_stage
recipe = '[scene]\\nbuiltin = "hall"\\n'
recipe += '[[class]]\\nname = "chair"\\nbuiltin = "chair"\\n[[camera]]\\nplugin = "orbit"\\n'
recipe += '[[placement]]\\nplugin = "on_surface"\\nsurfaces = ["Floor"]\\n[render]\\ndevice = "cpu"\\n'
open_stage(loads_recipe(recipe, Path(), "cores"), threads=int(sys.argv[1]))
import scipy.linalg
tasks = [int(task.name) for task in Path("/proc/self/task").iterdir()]
assert all(os.sched_getaffinity(task) == os.sched_getaffinity(0) for task in tasks)
assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
print(len(os.sched_getaffinity(0)), len(tasks))
"""
    found = []
    for threads in (1, 0):
        command = [sys.executable, "-c", program, str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path.cwd())
        assert done.returncode == 0, done.stderr
        found.append([int(n) for n in done.stdout.split()[-2:]])
    (cores, few), (same, many) = found
    assert cores == same == cpus() and few < many
