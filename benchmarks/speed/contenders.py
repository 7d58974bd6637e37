# SPDX-License-Identifier: GPL-3.0-or-later
"""The contenders of overhead.py, each served by a process of its own: ``python contenders.py NAME TASK``."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CLASSES = ("chair", "dining table", "handbag", "backpack", "suitcase")
BUILTIN = {"dining table": "table"}

RECIPE = """
seed = 5
[real]
annotations = "coco_furniture.json"
[scene]
{scene}
{classes}
[[placement]]
plugin = "on_surface"
surfaces = ["Floor"]
count = [{count}, {count}]
cluster_radius = {cluster}
gap = 0.05
[[camera]]
plugin = "framed"
lens = [18.0, 50.0]
height = [0.3, 2.0]
[target]
plugin = "bbox_area_gmm"
classes = ["chair"]
{gate}
[render]
samples = {samples}
device = "cpu"
max_attempts = 200
[output]
width = {width}
height = {height}
masks = true
depth = "png"
"""

Task = dict[str, Any]


def recipe_of(task: Task, gate: Path | None = None) -> Any:
    from twinset.engine.recipe.reading import loads_recipe

    classes = "\n".join(f'[[class]]\nname = "{c}"\nbuiltin = "{BUILTIN.get(c, c)}"' for c in CLASSES)
    plugin = f'[[filter]]\nplugin = "feature_score"\nfeatures = "{gate}"\nthreshold = 0.0\nclasses = {list(CLASSES)}\n'
    plugin += f"threads = {len(os.sched_getaffinity(0))}\n"  # as many as Cycles has
    if gate and task["model"]:
        plugin += f'model = "{task["model"]}"\n'
    text = RECIPE.format(
        classes=classes,
        count=task["instances"],
        cluster=4.0 + task["instances"] ** 0.5,
        scene=task["scene"],
        gate=plugin if gate else "",
        samples=2,
        width=task["width"],
        height=task["height"],
    )
    return loads_recipe(text, EXAMPLES, "overhead")


class Contender:
    """Renders frames on a stage in the way of one of the three."""

    keeps_data = False
    """Whether heavy scenes are prepared as Twinset does it."""

    def __init__(self, task: Task, out: Path) -> None:
        from twinset.blender.stage import open_stage

        if not self.keeps_data:
            from twinset.blender.render import heavy_scenes

            heavy_scenes.HEAVY_TRIANGLES = heavy_scenes.HEAVY_PIXELS = sys.maxsize
        self.out = out
        self.recipe = recipe_of(task)
        self.stage = open_stage(self.recipe)
        self.scene = self.stage._scene
        self.count = 0

    def quality(self, samples: int, denoise: bool) -> None:
        """How the pictures to come are rendered."""
        self.scene.cycles.samples = samples
        self.scene.cycles.use_denoising = denoise

    def memory(self) -> float:
        """The most memory that the process has had, in GiB."""
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    def put(self, layout: Task) -> Any:
        """Stand things where a layout has them, and look at them."""
        from twinset.engine.stage import CameraPose

        self.stage.clear()
        by_name = {a.name: a for assets in self.stage.assets.values() for a in assets}
        for name, matrix in layout["placed"]:
            self.stage.place(by_name[name], np.array(matrix))
        pose = {**layout["camera"], "matrix": np.array(layout["camera"]["matrix"])}
        self.stage.pose_camera(CameraPose(**pose))

    def render(self, layout: Task) -> None:
        """One frame, complete."""
        raise NotImplementedError


class Bare(Contender):
    """The picture and nothing else, written by Blender."""

    def __init__(self, task: Task, out: Path) -> None:
        super().__init__(task, out)
        r = self.scene.render
        r.image_settings.file_format, r.image_settings.quality = "JPEG", 92
        out.mkdir()

    def render(self, layout: Task) -> None:
        import bpy

        self.put(layout)
        self.stage._renderer  # noqa: B018  # hides what the frame before has left
        self.count += 1
        self.scene.cycles.seed = self.count
        self.scene.render.filepath = str(self.out / f"{self.count:06d}.jpg")
        bpy.ops.render.render(scene=self.scene.name, write_still=True)


class Twinset(Contender):
    """All labels, metrics, a gate, and the record."""

    keeps_data = True

    def __init__(self, task: Task, out: Path) -> None:
        from twinset.dataset.analysis.real_boxes import real_boxes
        from twinset.dataset.store.frames import FrameStore
        from twinset.engine.sampling.attempt import Trial
        from twinset.engine.sampling.gates import OpenGates
        from twinset.engine.sampling.sampler import Sampler

        super().__init__(task, out)
        self.sampler = Sampler(self.recipe, self.stage, real_boxes(self.recipe))
        self.store = FrameStore(out)
        self.store.prepare()
        gated = recipe_of(task, self._learn(task, out.parent / "gate.features"))
        self.recipe = gated
        self.trial = Trial(gated, self.stage, OpenGates(gated))

    def solve(self, index: int) -> Task:
        """A frame's layout: everything that the sampler decides, rendered by nobody yet."""
        from twinset.engine.block import Block

        frame = self.sampler.frame(index, Block(), render=False)
        if frame.shot is None:
            return {"placed": []}
        camera = frame.shot.camera
        return {
            "placed": [(i.asset.name, i.matrix.tolist()) for i in self.stage.instances],
            "camera": {
                "matrix": camera.matrix.tolist(),
                "lens": camera.lens,
                "width": camera.width,
                "height": camera.height,
                "near": camera.near,
            },
            "attempts": frame.attempts,
        }

    def render(self, layout: Task) -> None:
        import attrs
        from twinset.dataset.store.label_files import label_files
        from twinset.dataset.store.record import make_record
        from twinset.engine.block import Block
        from twinset.engine.goals import Goals
        from twinset.engine.sampling.attempt import Attempt
        from twinset.engine.sampling.evaluation import basic_row
        from twinset.engine.sampling.frame import Frame
        from twinset.engine.stage import Shot

        self.put(layout)
        self.count += 1
        labels, seen = self.stage.probe(1.0), self.stage.instances
        probed = Shot(np.empty((0, 0, 3), np.uint8), labels, seen, {}, self.stage._camera)
        made = self.trial.render(self.count, Attempt(probed, [basic_row(i, labels, 1) for i in seen]), Block())
        # What the gate has refused is kept all the same: it costs no more.
        self.trial.annotate(made)
        frame = Frame(
            self.count, 1, (), "framed", Goals(), made.shot, tuple(made.rows), made.columns, score=made.verdict.score
        )
        output, shot = self.recipe.output, made.shot
        self.store.write(
            self.count,
            make_record(frame, self.recipe),
            shot.image,
            format=output.format,
            quality=output.quality,
            labels=label_files(attrs.evolve(output, masks=True), shot, {}),
        )

    def _learn(self, task: Task, path: Path) -> Path:
        """Features of noise stand for those of real boxes: what a gate says does not matter here."""
        from twinset.alignment.features.density import fit_density
        from twinset.alignment.features.extractor import Extractor

        extractor = Extractor(task["model"] or None)
        noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
        boxes = [[20.0 * k, 15.0 * k, 40.0 + 5 * k, 60.0] for k in range(12)]
        found = extractor.extract_boxes(noise, boxes)
        origin = {"model": extractor.sha256, "class": CLASSES[0], "margin": 0.1}
        path.write_bytes(fit_density(found, origin=origin).to_bytes())
        return path


class BlenderProc(Contender):
    """Colour, depth and instance masks by BlenderProc's own renderer and writer."""

    def __init__(self, task: Task, out: Path) -> None:
        from twinset.blender.blenderproc.adapter import blenderproc

        super().__init__(task, out)
        self.bproc = contextlib.ExitStack().enter_context(blenderproc())
        self.is_set_up = False
        self.scene.render.use_file_extension = True

    def quality(self, samples: int, denoise: bool) -> None:
        self.bproc.renderer.set_max_amount_of_samples(samples)
        self.bproc.renderer.set_noise_threshold(0.01)
        self.bproc.renderer.set_denoiser("INTEL" if denoise else None)

    def render(self, layout: Task) -> None:
        import bpy

        self.put(layout)
        self.stage._renderer  # noqa: B018
        owners = {part for c in self.stage._shown.values() for part in c.objects}
        for o in bpy.data.objects:
            if o.type == "MESH":
                o["category_id"] = 1 if o in owners else 0
        if not self.is_set_up:
            self.is_set_up = True
            self.bproc.renderer.enable_depth_output(activate_antialiasing=False)
            self.bproc.renderer.enable_segmentation_output(
                map_by=["category_id", "instance", "name"], default_values={"category_id": 0, "name": "background"}
            )
        self.bproc.utility.reset_keyframes()
        self.bproc.camera.add_camera_pose(self.stage._camera.matrix)
        # It gives ids once, at set-up; what is placed later needs them given again.
        for index, o in enumerate(o for o in self.scene.objects if o.type == "MESH"):
            o.pass_index = index + 1
        data = self.bproc.renderer.render()
        self.bproc.writer.write_coco_annotations(
            str(self.out),
            instance_segmaps=data["instance_segmaps"],
            instance_attribute_maps=data["instance_attribute_maps"],
            colors=data["colors"],
            color_file_format="JPEG",
            jpg_quality=92,
        )
        self.bproc.writer.write_hdf5(str(self.out / "hdf5"), {"depth": data["depth"]}, append_to_existing_output=True)


CONTENDERS: dict[str, Callable[[Task, Path], Contender]] = {
    "bare": Bare,
    "twinset": Twinset,
    "blenderproc": BlenderProc,
}


def serve(name: str, task: Task) -> None:
    """Answer requests, one a line, until there are no more. Blender's chatter goes to nowhere."""
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    with tempfile.TemporaryDirectory() as folder:
        contender = CONTENDERS[name](task, Path(folder) / "out")
        print("{}", file=answers, flush=True)
        for line in sys.stdin:
            request = json.loads(line)
            method = getattr(contender, request["do"])
            wall, cpu = time.perf_counter(), time.process_time()
            result = method(*request["with"])
            spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "result": result}
            print(json.dumps(spent), file=answers, flush=True)
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1], json.loads(sys.argv[2]))
