# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders under faults of the system: each must end with a sentence, lose nothing, and resume to the same bytes.

    python benchmarks/robustness/attacks.py                   # all
    python benchmarks/robustness/attacks.py shares eio        # some

Linux, as root, with strace 5.3 or later and libfaketime (Debian: strace, faketime); what is missing is skipped.
Exit code 1 if anything fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from attacked_place import TWINSET, Outcome, Place, said, same, sentence
from twinset.testing.fixtures.render_process import differences

MAX_KILLS = 12


def shares(place: Place) -> Iterator[Outcome]:
    """A share whose worker fails withdraws the folder, step by step slowly, while another one begins."""
    if not shutil.which("strace"):
        return
    for calls, pause in (("rmdir", 0.0), ("unlink,unlinkat", 0.5), ("rmdir,unlink,unlinkat", 1.0), ("rmdir", 2.0)):
        out = place.folder / f"shares-{calls.replace(',', '-')}-{pause}"
        slow = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", f"trace={calls}"]
        slow += ["-e", f"inject={calls}:delay_enter=400000"]
        failing = subprocess.Popen(
            [*slow, *place.command(out, "--workers", "1")],
            env={**os.environ, "ATTACK_FAILS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not (out / "recipe.toml").is_file() and failing.poll() is None:
            time.sleep(0.02)
        time.sleep(pause)
        other = place.render(out)
        errors = failing.communicate()[1]
        # It succeeds if the other one has made all frames meanwhile.
        ok = failing.returncode in (0, 2) and "Traceback (most" not in errors.rpartition("failing as asked")[2]
        wrong = place.compared(out) if other.returncode == 0 else f"exit code {other.returncode}: {said(other)}"
        yield (
            f"a failing share ({failing.returncode}) with slow {calls}, the other {pause} s later",
            ok and not wrong,
            wrong or "same bytes",
        )


def memory(place: Place) -> Iterator[Outcome]:
    """A limit of a real control group: too little to import, to open, to render, and enough."""
    root = Path("/sys/fs/cgroup/memory") if Path("/sys/fs/cgroup/memory").is_dir() else Path("/sys/fs/cgroup")
    file = "memory.limit_in_bytes" if root.name == "memory" else "memory.max"
    group = root / f"twinset-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        return
    try:
        for mib in (60, 150, 220, 300, 2000):
            for workers in ((), ("--workers", "2")):
                out = place.folder / f"memory-{mib}-{len(workers)}"
                (group / file).write_text(str(mib * 2**20))
                enter = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
                done = place.render(out, *workers, before=enter)
                killed = done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
                ok = killed or sentence(done, (0, 2, 75))
                wrong = place.resumed(out)
                text = f"{mib} MiB {' '.join(workers)}: exit code {done.returncode}, {said(done)[:160]}"
                yield text, ok and not wrong, wrong or "resumed to the same bytes"
    finally:
        for _ in range(100):
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.1)


def eio(place: Place) -> Iterator[Outcome]:
    """Disks that fail: the n-th call of a kind returns EIO, or ENOSPC as full ones do."""
    if not shutil.which("strace"):
        return
    for call, error in (
        ("fsync", "EIO"),
        ("rename", "EIO"),
        ("mkdir", "EIO"),
        ("fsync", "ENOSPC"),
        ("rename", "ESTALE"),
    ):
        for number in (1, 2, 5, 9):
            out = place.folder / f"{error}-{call}-{number}"
            inject = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", f"trace={call}"]
            inject += ["-e", f"inject={call}:error={error}:when={number}"]
            done = place.render(out, before=inject)
            left = [p for p in out.rglob("*.tmp")] if out.exists() else []
            ok = sentence(done, (0, 2, 75)) and not left
            wrong = place.resumed(out)
            text = f"{error} of {call} {number}: exit code {done.returncode}, {said(done)[:160]}"
            yield text, ok and not wrong, wrong or "resumed to the same bytes"


def reading(place: Place) -> Iterator[Outcome]:
    """Frames that cannot be read again are rendered again; other commands name them."""
    if not shutil.which("strace"):
        return
    for name in ("frames/000001.json", "images/000001.png", "masks/000001.png"):
        out = place.folder / f"unreadable-{Path(name).parent}"
        shutil.copytree(place.whole, out)
        inject = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(out / name), "-e", "trace=read,pread64"]
        inject += ["-e", "inject=read,pread64:error=EIO"]
        words = [*inject, *TWINSET, "verify", str(out)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=1800, check=False)
        ok = sentence(done, (3,)) and "Damaged: 1." in done.stdout + done.stderr
        yield f"verify with {name} unreadable: exit code {done.returncode}, {said(done)[:160]}", ok, ""
        done = place.render(out, before=inject)
        ok = sentence(done, (0, 2, 3, 75))
        wrong = place.resumed(out)
        yield f"render with {name} unreadable: exit code {done.returncode}, {said(done)[:160]}", ok and not wrong, wrong


def users(place: Place) -> Iterator[Outcome]:
    """Without root's rights: a home and a temporary folder that cannot be written to, an output folder of others."""
    if not shutil.which("setpriv"):
        return
    drop = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--ambient-caps", "-all"]
    home = place.folder / "home"
    home.mkdir(exist_ok=True)
    home.chmod(0o555)
    for name, env in (
        ("read-only home", {"HOME": str(home)}),
        ("no home", {"HOME": "/nonexistent"}),
        ("read-only home and cache", {"HOME": str(home), "XDG_CACHE_HOME": str(home), "MPLCONFIGDIR": str(home)}),
    ):
        out = place.folder / name.replace(" ", "-")
        done = place.render(out, before=drop, env=env)
        wrong = place.compared(out) if done.returncode == 0 else said(done)
        yield f"{name}: exit code {done.returncode}", not wrong, wrong or "same bytes"
        words = [*drop, *TWINSET, "compare", str(out), str(place.whole)]
        done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **env}, check=False)
        yield f"{name}, compare: exit code {done.returncode}", sentence(done, (0,)), said(done)[:160]
    foreign = place.folder / "foreign-owner"
    foreign.mkdir()
    foreign.chmod(0o555)
    for out in (foreign, foreign / "below"):
        done = place.render(out, before=drop)
        ok = sentence(done, (2,)) and "cannot be written to" in done.stderr.replace("\n", " ")
        yield f"an output folder that is read-only: exit code {done.returncode}, {said(done)[:160]}", ok, ""


def links(place: Place) -> Iterator[Outcome]:
    """Symbolic links in place of the output folder, and of folders in it."""
    target = place.folder / "target"
    target.mkdir()
    (place.folder / "to-folder").symlink_to(target)
    (place.folder / "dangling").symlink_to(place.folder / "made-through-link")
    for name, leads in (("to-folder", target), ("dangling", place.folder / "made-through-link")):
        wrong = place.resumed(place.folder / name) or place.compared(leads)
        ok = not wrong and (place.folder / name).is_symlink()
        yield f"an output folder that is a link ({name})", ok, wrong or "same bytes, still a link"
    (place.folder / "loop").symlink_to(place.folder / "loop")
    (place.folder / "file").write_text("mine")
    (place.folder / "to-file").symlink_to(place.folder / "file")
    for name in ("loop", "to-file"):
        done = place.render(place.folder / name)
        ok = sentence(done, (2,)) and (place.folder / "file").read_text() == "mine"
        yield f"a link that is no folder ({name}): exit code {done.returncode}, {said(done)[:160]}", ok, ""
    inner, elsewhere = place.folder / "inner", place.folder / "elsewhere"
    inner.mkdir(), elsewhere.mkdir()
    (inner / "images").symlink_to(elsewhere)
    done = place.render(inner)
    wrong = said(done) if done.returncode else ", ".join(differences(place.whole / "images", elsewhere))
    yield "images/ is a link to another disk", not wrong and (inner / "images").is_symlink(), wrong or "same bytes"


def foreign(place: Place) -> Iterator[Outcome]:
    """Files of others in the output folder stay as they are."""
    out = place.folder / "foreign"
    mine = [
        "notes.txt",
        "images/holiday.jpg",
        "frames/notes.json",
        "masks/x/y.png",
        "annotations/mine.json",
        "labels/a.txt",
    ]
    mine += ["images/000009.png.bak", ".git/config", "frames/000001.json.orig", "workers/readme"]
    for name in mine:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(f"mine: {name}")
    done = place.render(out)
    lost = [name for name in mine if not (out / name).is_file() or (out / name).read_text() != f"mine: {name}"]
    others = set(differences(place.whole, out)) - set(mine) - {"recipe.toml"}
    yield "foreign files in the output folder", done.returncode == 0 and not lost and not others, f"{lost} {others}"
    words = [*TWINSET, "finish", str(out)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    lost = [name for name in mine if not (out / name).is_file()]
    yield f"finish beside foreign files: exit code {done.returncode}", done.returncode == 0 and not lost, str(lost)
    for name in ("frames", "images", "masks", "recipe.toml", "annotations", "workers"):
        out = place.folder / f"taken-{name.replace('.', '-')}"
        out.mkdir()
        if name == "recipe.toml":
            (out / name).mkdir()
            (out / name / "keep").write_text("mine")
        else:
            (out / name).write_text("mine")
        done = place.render(out)
        kept = (out / name / "keep" if name == "recipe.toml" else out / name).read_text() == "mine"
        ok = sentence(done, (0, 2)) and kept
        yield f"'{name}' is taken by something else: exit code {done.returncode}, {said(done)[:160]}", ok, ""


def clocks(place: Place) -> Iterator[Outcome]:
    """Clocks that are wrong, and that jump while a job runs."""
    library = next(Path("/usr/lib").rglob("faketime/libfaketimeMT.so.1"), None)
    if library is None:
        return
    for name, start, later in (("1990", "@1990-01-01 00:00:00", "-3d"), ("2090", "@2090-01-01 00:00:00", "-9000d")):
        out, stamp = place.folder / f"clock-{name}", place.folder / "clock"
        stamp.write_text(start)
        env = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(stamp),
            "FAKETIME_CACHE_DURATION": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        # One process: waiting for others fails in Python under libfaketime, whose clocks disagree.
        running = subprocess.Popen(
            place.command(out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env
        )
        while running.poll() is None and not (out / "frames/000000.json").is_file():
            time.sleep(0.02)
        stamp.write_text(later)
        errors = running.communicate()[1]
        wrong = place.compared(out) if running.returncode == 0 else errors[-300:]
        text = f"a clock at {name} that jumps while rendering: exit code {running.returncode}"
        yield text, not wrong, wrong or "same bytes"


def improvements(place: Place) -> Iterator[Outcome]:
    """SIGKILL of tune and align at random instants, again and again, until they end: the same bytes as undisturbed."""
    rng = np.random.default_rng(0)
    real = place.folder / "real"
    real.mkdir()
    shutil.copytree(place.whole, real / "data")
    for kind in ("one", "other"):
        (place.folder / kind).mkdir()
    commands = {
        "tune": ["tune", str(place.recipe), "--real", str(real / "data"), "--column", "bbox_area", "--probes", "24"],
        "align": ["align", str(place.recipe), "--real", str(real / "data"), "--trial-images", "4"],
    }
    commands["tune"] += ["--configurations", "8", "--vary", "camera.orbit.distance=1:6"]
    for name, command in commands.items():
        ending = ".toml" if name == "tune" else ""
        outs = [place.folder / kind / f"{name}{ending}" for kind in ("one", "other")]
        began = time.monotonic()
        words, kills = [*TWINSET, *command, "-o"], 0
        done = subprocess.run([*words, str(outs[0])], capture_output=True, text=True, check=False)
        took = time.monotonic() - began
        if done.returncode:
            yield f"{name} undisturbed: exit code {done.returncode}", False, said(done)
            continue
        while kills < MAX_KILLS:
            running = subprocess.Popen(
                [*words, str(outs[1])],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            # Later and later, so that it ends even if nothing were kept.
            moment = float(rng.uniform(0.1, 0.5 + 2 * kills / MAX_KILLS)) * took
            try:
                running.communicate(timeout=moment)
                break
            except subprocess.TimeoutExpired:
                kills += 1
                os.killpg(running.pid, signal.SIGKILL)
                running.communicate()
        wrong = same(outs[0], outs[1]) if running.returncode == 0 else f"exit code {running.returncode}"
        yield f"{name} killed {kills} times", not wrong, wrong or "same bytes"


ATTACKS: dict[str, Callable[[Place], Iterator[Outcome]]] = {
    "shares": shares,
    "links": links,
    "foreign": foreign,
    "users": users,
    "eio": eio,
    "reading": reading,
    "memory": memory,
    "clocks": clocks,
    "improvements": improvements,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attacks", nargs="*", choices=[[], *ATTACKS], help="Default: all.")
    chosen = parser.parse_args().attacks or list(ATTACKS)
    failed = 0
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="attacks-") as folder:
            outcomes = list(_reported(name, ATTACKS[name](Place(Path(folder)))))
            failed += sum(not ok for _, ok, _ in outcomes)
            if not outcomes:
                print(f"SKIP {name}: this system cannot do it", flush=True)
    sys.exit(failed > 0)


def _reported(name: str, outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    for text, ok, detail in outcomes:
        print(f"{'PASS' if ok else 'FAIL'} {name}: {text}; {detail}", flush=True)
        yield text, ok, detail


if __name__ == "__main__":
    main()
