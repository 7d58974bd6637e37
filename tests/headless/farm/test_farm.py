# SPDX-License-Identifier: GPL-3.0-or-later
"""Job files for farms, held against the engines themselves: openjd, Kubernetes' schema, node, and a shell."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import attrs
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from recipes import ONE_SAMPLE, on_floor, orbit, recipe_text
from twinset.engine.errors import DataError
from twinset.headless.commands.farm.farm import farm_command
from twinset.headless.farm import openjd
from twinset.headless.farm.farm import FARMS, Farm
from twinset.headless.farm.flamenco import Flamenco
from twinset.headless.farm.kubernetes import Kubernetes
from twinset.headless.farm.openjd import Openjd
from twinset.headless.farm.plan import Plan, min_blocks_per_task
from twinset.headless.farm.slurm import Slurm
from twinset.testing.fixtures.render_process import differences
from typer.testing import CliRunner

WORKER = """\
#!/bin/bash
# Stands in for twinset on a node: notes how it was called, and fails as it is told to.
printf '%s\\n' "$*" >> "{log}"
if [ "$1" = render ] && [ "${{@: -1}}" = "{bad}" ] && [ ! -e "{log}.again" ]; then touch "{log}.again"; exit 75; fi
"""


@pytest.fixture
def worker(tmp_path):
    """A command in a folder with a blank and a quote, the log of its calls, and the frames that fail once with 75."""
    folder = tmp_path / "it's here"
    folder.mkdir()
    program, log = folder / "twinset", tmp_path / "log"
    program.write_text(WORKER.format(log=log, bad="2-3"))
    program.chmod(0o755)
    return program, log


def plan_of(worker, tmp_path, **changes):
    quoted = "'" + str(worker[0]).replace("'", "'\\''") + "'"
    values = {"images": 10, "block": 2, "blocks_per_task": 2, "command": quoted} | changes
    return Plan(recipe=tmp_path / "my recipe.toml", out=tmp_path / "out $HOME", **values)


def blocks_in(log: Path) -> list[int]:
    """Blocks rendered, in order, from the calls that were noted; a call that failed has been noted twice."""
    calls = [line for line in log.read_text().splitlines() if " --blocks " in line]
    ranges = {tuple(map(int, (line.rsplit(" ", 1)[1].split("-") * 2)[:2])) for line in calls}
    return sorted(block for first, last in ranges for block in range(first, min(last, 4) + 1))


def write(files: dict[str, str], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


@settings(max_examples=examples(100))
@given(st.integers(1, 5000), st.integers(1, 64), st.integers(1, 9))
def test_tasks_cover_each_frame_once(images, block, blocks):
    plan = Plan(Path("/r.toml"), Path("/out"), images, block, blocks)
    tasks = [range(task * blocks, min((task + 1) * blocks, plan.blocks)) for task in range(plan.tasks)]
    assert all(len(task) for task in tasks)
    frames = [f for task in tasks for b in task for f in range(b * block, min((b + 1) * block, images))]
    assert frames == list(range(images))
    assert Plan(Path("/r"), Path("/o"), images, block, min_blocks_per_task(images, block)).tasks <= 1000


def test_slurm_script_renders_its_share_and_requeues_trouble_that_may_pass(worker, tmp_path):
    plan = plan_of(worker, tmp_path)
    folder = tmp_path / "job"
    write(Slurm(max_parallel=2).files(plan), folder)
    (tmp_path / "scontrol").write_text(f'#!/bin/bash\necho "$*" >> "{tmp_path}/requeued"\n')
    (tmp_path / "scontrol").chmod(0o755)
    assert "#SBATCH --array=0-2%2\n" in (folder / "render.sbatch").read_text()
    codes = []
    for task in (2, 0, 1):
        env = {**os.environ, "SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_JOB_ID": "7", "PATH": path_with(tmp_path)}
        codes.append(subprocess.run(["bash", folder / "render.sbatch"], env=env).returncode)
    assert codes == [0, 0, 0] and blocks_in(worker[1]) == list(range(5))
    assert (tmp_path / "requeued").read_text() == "requeue 7_1\n"
    # After some restarts the trouble does not pass.
    (tmp_path / "log.again").unlink()
    env |= {"SLURM_ARRAY_TASK_ID": "1", "SLURM_RESTART_COUNT": "4"}
    assert subprocess.run(["bash", folder / "render.sbatch"], env=env).returncode == 75
    assert subprocess.run(["bash", folder / "finish.sbatch"]).returncode == 0
    assert worker[1].read_text().splitlines()[-1] == f"finish {plan.out}"


def path_with(folder: Path) -> str:
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_slurm_submits_the_array_and_then_what_depends_on_it(worker, tmp_path):
    plan = plan_of(worker, tmp_path)
    folder = tmp_path / "job"
    write(Slurm().files(plan), folder)
    (tmp_path / "sbatch").write_text(f'#!/bin/bash\necho "$*" >> "{tmp_path}/submitted"\necho "42;cluster"\n')
    (tmp_path / "sbatch").chmod(0o755)
    env = {**os.environ, "PATH": path_with(tmp_path)}
    done = subprocess.run(["bash", folder / "submit", "--partition=gpu"], env=env, capture_output=True, text=True)
    assert done.returncode == 0 and "Job 42 renders" in done.stdout and plan.out.is_dir()
    assert done.stdout.endswith(f" status '{plan.out}'\n")
    assert (tmp_path / "submitted").read_text().splitlines() == [
        "--parsable --partition=gpu render.sbatch",
        "--parsable --dependency=afterany:42 finish.sbatch",
    ]


def test_openjd_checks_and_runs_the_template(worker, tmp_path, monkeypatch):
    monkeypatch.setattr(openjd, "PAUSE", 0)
    pytest.importorskip("openjd.cli")
    plan = plan_of(worker, tmp_path)
    write(Openjd().files(plan), tmp_path / "bundle")
    template = tmp_path / "bundle" / "template.json"
    tool = [sys.executable, "-m", "openjd"]
    checked = subprocess.run(
        [*tool, "check", template, "--extensions", "TASK_CHUNKING"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    # Its reader must not go away before it ends, so it writes to a file.
    with (tmp_path / "run.log").open("w") as log:
        for step in ("Render", "Finish"):
            options = ["--step", step, "--extensions", "TASK_CHUNKING"]
            code = subprocess.run([*tool, "run", template, *options], stdout=log, stderr=log, timeout=600).returncode
            assert code == 0, (tmp_path / "run.log").read_text()
    assert blocks_in(worker[1]) == list(range(5))
    calls = worker[1].read_text().splitlines()
    assert sum(call.endswith(" 2-3") for call in calls) == 2 and calls[-1] == f"finish {plan.out}"


def test_kubernetes_takes_the_jobs(worker, tmp_path):
    validate = pytest.importorskip("kubernetes_validate")
    plan = plan_of(worker, tmp_path)
    mount = str(tmp_path)
    files = Kubernetes(image="twinset:0.1", claim="shared", mount=mount, max_parallel=64).files(plan)
    for text in files.values():
        validate.validate(json.loads(text), validate.latest_version(), strict=True)
    job = json.loads(files["job.json"])
    assert job["spec"]["completions"] == 3 and job["spec"]["parallelism"] == 3
    command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    for index in range(3):
        assert subprocess.run(command, env={**os.environ, "JOB_COMPLETION_INDEX": str(index)}).returncode in (0, 75)
    assert blocks_in(worker[1]) == list(range(5))


HARNESS = """
const made = [];
const author = {
    Task: (name, type) => ({ name, type, commands: [], needs: [],
        addCommand(c) { this.commands.push(c); }, addDependency(t) { this.needs.push(t.name); } }),
    Command: (name, parameters) => ({ name, parameters }),
};
const job = { addTask(t) { made.push(t); } };
job.settings = Object.fromEntries(JOB_TYPE.settings.map(s => [s.key, s.default]));
compileJob(job);
console.log(JSON.stringify({ type: JOB_TYPE, made }));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed, which runs Flamenco's JavaScript")
def test_flamenco_compiles_the_job(tmp_path):
    plan = Plan(Path('/my "recipe".toml'), Path("C:\\out"), 10, 2, 2, "/opt/twinset/bin/twinset --verbose")
    script = tmp_path / "job.js"
    script.write_text(Flamenco().files(plan)["twinset.js"] + HARNESS)
    found = json.loads(subprocess.run(["node", script], capture_output=True, text=True, check=True).stdout)
    *renders, finish = found["made"]
    assert [t["name"] for t in renders] == ["render-0-1", "render-2-3", "render-4-4"] == finish["needs"]
    command = renders[1]["commands"][0]
    assert command["name"] == "exec" and command["parameters"]["exe"] == "/opt/twinset/bin/twinset"
    assert command["parameters"]["args"] == plan.render("2-3")[1:]
    assert finish["commands"][0]["parameters"]["args"] == plan.finish()[1:]
    assert {s["type"] for s in found["type"]["settings"]} <= {"string", "int32"}


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed, which runs Flamenco's JavaScript")
def test_flamenco_takes_no_name_for_a_place_to_fill_in(tmp_path):
    plan = Plan(Path("/@out@.toml"), Path("/@images@ @values@ \u2028 `${1}`"), 10, 2, 5, "twinset", ("/@command@",))
    (tmp_path / "job.js").write_text(Flamenco().files(plan)["twinset.js"] + HARNESS)
    found = json.loads(subprocess.run(["node", tmp_path / "job.js"], capture_output=True, check=True).stdout)
    assert [t["commands"][0]["parameters"]["args"] for t in found["made"]] == [
        plan.render("0-4")[1:],
        plan.finish()[1:],
    ]


def as_kubernetes_expands(text: str) -> str:
    """What a container gets: ``$$`` becomes ``$``, and names that are set are replaced."""
    variables = {"JOB_COMPLETION_INDEX": "1", "HOME": "/root"}
    return re.sub(
        r"\$\$|\$\(([^()]*)\)",
        lambda m: "$" if m[0] == "$$" else variables.get(m[1], m[0]),
        text,
    )


def test_kubernetes_replaces_nothing_in_paths(worker, tmp_path):
    plan = attrs.evolve(plan_of(worker, tmp_path), out=tmp_path / "$(HOME) $$ $HOME $$(HOME)")
    files = Kubernetes(image="twinset:0.1", claim="shared", mount=str(tmp_path)).files(plan)
    for name in ("job.json", "finish.json"):
        template = json.loads(files[name])["spec"]["template"]["spec"]["containers"][0]
        command = [as_kubernetes_expands(word) for word in template["command"]]
        subprocess.run(command, env={**os.environ, "JOB_COMPLETION_INDEX": "0"}, check=True)
        assert str(plan.out) in worker[1].read_text().splitlines()[-1], name


@pytest.mark.parametrize("outside", ["../../etc/x", "../other"])
def test_kubernetes_takes_no_path_beside_its_volume(worker, tmp_path, outside):
    plan = attrs.evolve(plan_of(worker, tmp_path), out=tmp_path / outside)
    with pytest.raises(DataError, match="is not in"):
        Kubernetes(image="twinset:0.1", claim="shared", mount=str(tmp_path)).files(plan)


def test_paths_that_an_engine_would_take_for_its_own_words_are_refused(tmp_path):
    from twinset.headless import cli

    demo = Path(cli.__file__).parents[1] / "examples" / "demo.toml"
    done = CliRunner().invoke(cli.app, ["farm", "openjd", str(demo), "-o", str(tmp_path / "{{out}}")])
    assert done.exit_code == 2 and "Rename it" in done.output and not list(tmp_path.iterdir())
    with pytest.raises(DataError, match="Rename it"):
        Openjd().files(Plan(Path("/r.toml"), Path("/out"), 10, 2, 2, plugins=("/{{Param.x}}",)))


RENDERED = recipe_text(
    seed=3,
    images=4,
    placements=[on_floor()],
    cameras=[orbit(3.0, 6.0)],
    metrics=["bbox"],
    render={**ONE_SAMPLE, "device": "cpu", "block_size": 2},
    size=(64, 48),
)


def test_openjd_renders_the_very_dataset_of_a_single_process(tmp_path):
    pytest.importorskip("openjd.cli")
    pytest.importorskip("bpy")
    (tmp_path / "r.toml").write_text(RENDERED)
    program = [sys.executable, "-m", "twinset.headless"]

    def call(*command: object) -> None:
        # Readers of openjd's output must not go away before it ends, so it writes to a file.
        with (tmp_path / "log").open("w") as log:
            code = subprocess.run([*map(str, command)], stdout=log, stderr=log, timeout=600).returncode
        assert code == 0, (tmp_path / "log").read_text()

    call(*program, "render", tmp_path / "r.toml", "-o", tmp_path / "alone")
    call(*program, "farm", "openjd", tmp_path / "r.toml", "-o", tmp_path / "out", "--command", shlex.join(program))
    for step in ("Render", "Finish"):
        options = ["--step", step, "--extensions", "TASK_CHUNKING"]
        call(sys.executable, "-m", "openjd", "run", tmp_path / "out_openjd/template.json", *options)
    assert differences(tmp_path / "alone", tmp_path / "out") == []
    assert len(list((tmp_path / "out/images").iterdir())) == 4


@attrs.frozen
class Abacus(Farm):
    """Write a list of commands for people.

    What follows is not in the help.
    """

    name = "abacus"
    executables = ("go",)
    greeting: Annotated[str, typer.Option("--greeting", help="First line of the list.")]
    beads: Annotated[int, typer.Option(min=1, help="Beads.")] = 10

    def files(self, plan):
        tasks = [shlex.join(plan.render(f"{k}-{k}")) for k in range(plan.blocks)]
        return {"go": "\n".join([f"# {self.greeting} {self.beads}", *tasks, shlex.join(plan.finish())])}

    def start(self, plan, folder):
        return f"read {folder}/go aloud"


def test_a_farm_is_one_class(tmp_path):
    """The command of a farm that only this test declares: its options, its files and how it is started."""
    (tmp_path / "r.toml").write_text(RENDERED)
    app = typer.Typer()
    app.callback()(lambda: None)
    with FARMS.registered(Abacus):
        for cls in FARMS.all():
            app.command(cls.name)(farm_command(cls))
    call = partial(CliRunner().invoke, app)
    shown = call(["abacus", "--help"]).output
    assert "Write a list of commands for people." in shown and "not in the help" not in shown
    assert "--greeting" in shown and "--beads" in shown and "--blocks-per-task" in shown
    missing = call(["abacus", str(tmp_path / "r.toml"), "-o", str(tmp_path / "out")])
    assert missing.exit_code == 2 and "--greeting" in missing.output
    wanted = ["abacus", str(tmp_path / "r.toml"), "-o", str(tmp_path / "out"), "--greeting", "hi", "--beads", "7"]
    done = call(wanted)
    assert done.exit_code == 0 and f"read {tmp_path}/out_abacus/go aloud" in " ".join(done.output.split())
    path = tmp_path / "out_abacus/go"
    first, *tasks, last = path.read_text().splitlines()
    assert first == "# hi 7" and len(tasks) == 2 and tasks[1].endswith("--blocks 1-1") and " finish " in last
    assert os.access(path, os.X_OK)
    assert "abacus" not in FARMS.names()
