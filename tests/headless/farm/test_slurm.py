# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Slurm of two nodes on this machine: one is lost in the middle of a block, and the dataset is as if not."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from recipes import FOR_WORKERS
from twinset.dataset.store.frames import FrameStore
from twinset.testing.fixtures.render_process import differences, wait_until

SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
DAEMONS = ("munged", "slurmctld", "slurmd")

CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldTimeout=10
SlurmdTimeout=6
InactiveLimit=0
KillWait=2
MinJobAge=300
SchedulerParameters=sched_interval=1
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


class Cluster:
    """Daemons of Slurm in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "PATH": SBIN, "SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        ports = [free.getsockname()[1] for free in map(_bound, range(3))]
        host = socket.gethostname().split(".")[0]
        (self.folder / "slurm.conf").write_text(CONF.format(host=host, ports=ports, folder=self.folder))
        for name in ("state", "spool-n1", "spool-n2"):
            (self.folder / name).mkdir()
        (self.folder / "munge.key").write_bytes(os.urandom(64))
        (self.folder / "munge.key").chmod(0o600)
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
        munge = [f"--{option}={self.folder}/munge.{name}" for option, name in files.items()]
        self._start("munge", ["munged", "--foreground", "--force", f"--log-file={self.folder}/munge.log", *munge])
        wait_until(lambda: (self.folder / "munge.socket").exists(), self.said)
        self._start("ctld", ["slurmctld", "-D"])
        for node in ("n1", "n2"):
            self._start(node, ["slurmd", "-D", "-N", node])
        wait_until(lambda: self.ask("sinfo", "-h", "-t", "idle", "-o", "%D") == "2", self.said)

    def ask(self, *command: str) -> str:
        """What one of Slurm's commands answers; empty while it cannot."""
        return subprocess.run(command, env=self.env, capture_output=True, text=True).stdout.strip()

    def lose(self, node: str) -> None:
        """End a node's daemon and all processes of its jobs at once, without a word to the others."""
        for pid in (self._daemons[node].pid, *self._processes(node)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._daemons[node].wait()

    def stop(self) -> None:
        self.ask("scancel", "--state=PENDING", "--user=root")
        for node in ("n1", "n2"):
            if node in self._daemons:
                self.lose(node)
        for name in ("ctld", "munge"):
            if name in self._daemons:
                self._daemons[name].kill()
                self._daemons[name].wait()

    def said(self) -> str:
        """The ends of the daemons' logs."""
        return "\n".join(f"{p.name}: {p.read_text(errors='replace')[-2000:]}" for p in self.folder.glob("*.log"))

    def _start(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            env = {**self.env, "TWINSET_TEST_NODE": name}
            self._daemons[name] = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _processes(self, node: str) -> list[int]:
        """What runs on a node of this cluster: told by the variables that its daemon and Slurm give to them."""
        mine = {f"SLURM_CONF={self.folder}/slurm.conf".encode()}
        there = {f"TWINSET_TEST_NODE={node}".encode(), f"SLURMD_NODENAME={node}".encode()}
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                variables = set(path.read_bytes().split(b"\0"))
                if variables & mine and variables & there:
                    found.append(int(path.parent.name))
        return found


def _bound(_: int) -> socket.socket:
    """A socket on a free port, which it keeps from the next one."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", 0))
    return bound


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("Slurm's daemons need root")
    missing = [name for name in DAEMONS if shutil.which(name, path=SBIN) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is missing, which Debian's slurm-wlm and munge bring")
    pytest.importorskip("bpy")
    (tmp_path / "slurm").mkdir()
    made = Cluster(tmp_path / "slurm")
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_a_lost_node_changes_nothing(cluster: Cluster, tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(FOR_WORKERS)
    twinset = [sys.executable, "-m", "twinset.headless"]
    alone, out = tmp_path / "alone", tmp_path / "out"
    subprocess.run([*twinset, "render", recipe, "-o", alone], check=True, capture_output=True)
    written = ["farm", "slurm", recipe, "-o", out, "--out-jobs", tmp_path / "job", "--command", " ".join(twinset)]
    subprocess.run([*twinset, *written], check=True, capture_output=True)
    submitted = subprocess.run([tmp_path / "job/submit"], env=cluster.env, capture_output=True, text=True)
    assert submitted.returncode == 0, submitted.stderr
    array, last = re.findall(r"[Jj]ob (\d+)", submitted.stdout)

    def states() -> str:
        logs = "\n".join(p.read_text() for p in (tmp_path / "job/logs").glob("*"))
        return f"{cluster.ask('squeue', '-a')}\n{logs}\n{cluster.said()}"

    store = FrameStore(out)
    block: list[int] = []

    def is_in_the_middle() -> bool:
        task = cluster.ask("squeue", "-h", "-j", array, "-t", "R", "-w", "n1", "-o", "%K")
        if task.isdigit():
            frames = range(int(task) * 3, int(task) * 3 + 3)
            block[:] = [f for f in frames if f in store.frames()]
        return len(block) in (1, 2)

    wait_until(is_in_the_middle, states)
    cluster.lose("n1")
    wait_until(lambda: "n1" in cluster.ask("sinfo", "-h", "-t", "down", "-o", "%N"), states)

    def is_over() -> bool:
        return cluster.ask("squeue", "-h", "-j", last) == "" and cluster.ask("squeue", "-h", "-j", array) == ""

    wait_until(is_over, states)
    shown = cluster.ask("scontrol", "-o", "show", "job", array)
    assert re.findall(r"Restarts=[1-9]", shown), states()
    assert "ExitCode=0:0" in cluster.ask("scontrol", "-o", "show", "job", last), states()
    assert differences(alone, out) == []
