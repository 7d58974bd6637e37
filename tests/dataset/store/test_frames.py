# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames on disk: whole or absent, verified, the same bytes for the same input, one sentence when the disk refuses."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import attrs
import cv2
import numpy as np
import pytest
from twinset.dataset import atomic_files
from twinset.dataset.store.frames import FrameStore
from twinset.dataset.store.label_files import label_files
from twinset.engine.errors import DataError, OutputError
from twinset.engine.recipe.settings import OutputSettings
from twinset.engine.stage import Labels
from twinset.testing import make_shot

RECORD = {
    "verdict": "accepted",
    "attempts": np.int64(2),
    "camera": {"lens": np.float32(35.123456), "matrix": np.eye(4).ravel()},
    "draws": {},
    "image": {"file_name": "000005.png", "width": 32, "height": 24},
    "instances": [],
}


@pytest.fixture
def image():
    return np.random.default_rng(3).integers(0, 255, (24, 32, 3), dtype=np.uint8)


@pytest.fixture
def store(tmp_path):
    store = FrameStore(tmp_path / "out")
    store.prepare()
    return store


def everything(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def maps(output, ids, depth):
    """The label files that a recipe's output settings ask for."""
    shot = attrs.evolve(make_shot(ids, n=0), labels=Labels(ids.astype(np.int32), depth.astype(np.float32)))
    return label_files(output, shot, {})


def write_all(store, image, frame=5, **changes):
    ids = np.arange(24 * 32).reshape(24, 32) % 300
    depth = np.linspace(0.1, 80.0, 24 * 32, dtype=np.float32).reshape(24, 32)
    depth[0, 0] = np.inf
    depth_format = changes.pop("depth_format", "png")
    options = {"format": "png", "labels": maps(OutputSettings(masks=True, depth=depth_format), ids, depth)} | changes
    store.write(frame, RECORD, image, **options)
    return ids, depth


def test_what_is_written_comes_back(store, image):
    ids, depth = write_all(store, image)
    record = store.read(5)
    assert record["frame"] == 5 and record["attempts"] == 2
    assert record["camera"]["lens"] == 35.1234550  # nine significant digits of the 32-bit number
    np.testing.assert_array_equal(store.read_image(record), image)
    found = cv2.imread(str(store.out / record["files"]["ids"]["path"]), cv2.IMREAD_UNCHANGED)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, ids)
    millimetres = cv2.imread(str(store.out / "depth/000005.png"), cv2.IMREAD_UNCHANGED)
    assert millimetres.dtype == np.uint16
    assert millimetres[0, 0] == 0  # nothing was hit
    assert millimetres[-1, -1] == 65535  # 80 m is beyond 16 bits
    near = depth < 65
    np.testing.assert_allclose(millimetres[near] / 1000, depth[near], atol=0.0005001)
    assert store.frames() == [5] and store.has(5)
    assert store.missing(range(3, 7)) == [3, 4, 6]


def test_exr_keeps_metres_and_infinity(store, image):
    open_exr = pytest.importorskip("OpenEXR")
    _, depth = write_all(store, image, depth_format="exr")
    with open_exr.File(str(store.out / "depth/000005.exr")) as file:
        np.testing.assert_array_equal(file.channels()["Z"].pixels, depth)
    assert store.has(5)


@pytest.mark.parametrize("options", [{}, {"format": "jpg", "quality": 90}, {"depth_format": "exr"}])
def test_same_input_same_bytes(tmp_path, image, options):
    if options.get("depth_format") == "exr":
        pytest.importorskip("OpenEXR")
    found = []
    for name in "ab":
        store = FrameStore(tmp_path / name)
        store.prepare()
        write_all(store, image, **options)
        found.append(everything(store.out))
    assert found[0] == found[1]
    assert len(found[0]) == 4


def test_jpeg_holds_pixels_and_no_metadata(store, image):
    path = store.write(1, RECORD, image, format="jpg", quality=95)
    data = path.read_bytes()
    assert data[:2] == b"\xff\xd8" and b"Exif" not in data and b"\xff\xfe" not in data[:40]
    smooth = cv2.GaussianBlur(image, (0, 0), 6)
    store.write(2, RECORD, smooth, format="jpg", quality=100)
    np.testing.assert_allclose(store.read_image(store.read(2)).astype(int), smooth.astype(int), atol=12)  # RGB, not BGR


@pytest.mark.parametrize("damage", ["change", "delete"])
@pytest.mark.parametrize("name", ["images/000005.png", "masks/000005.png", "depth/000005.png"])
def test_missing_or_changed_files_make_a_frame_absent(store, image, damage, name):
    write_all(store, image)
    path = store.out / name
    if damage == "delete":
        path.unlink()
        assert not store.has(5, verify=False)
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        assert store.has(5, verify=False)
    assert not store.has(5)
    assert store.frames() == [5]


def test_a_frame_given_up_is_present_without_an_image(store, image):
    assert store.write(3, {"verdict": "given up", "attempts": 20}, None) is None
    assert store.has(3)
    assert store.read(3)["files"] == {}
    store.write(4, {"verdict": "accepted"}, None)
    assert not store.has(4)  # accepted, but where is the image?


def test_writing_again_leaves_no_other_files_of_the_frame(store, image):
    write_all(store, image)
    store.write(5, RECORD, image, format="jpg")
    assert set(everything(store.out)) == {"frames/000005.json", "images/000005.jpg"}
    store.write(5, {"verdict": "given up"}, None)
    assert set(everything(store.out)) == {"frames/000005.json"}


@pytest.mark.parametrize("text", ["{", "[]", '{"frame": 5}', '{"frame":6,"verdict":"accepted","files":{}}', ""])
def test_damaged_records_are_absent_and_named(store, text):
    store.record_path(5).write_text(text)
    assert not store.has(5)
    with pytest.raises(DataError, match=r"000005\.json' is damaged.*Delete the file and render that frame again"):
        store.read(5)


@pytest.mark.parametrize("name", ["../../secret.png", "/etc/passwd", "images/../../x.png", "..\\x.png", "", 7])
def test_records_name_no_files_outside_their_folder(store, image, name):
    write_all(store, image)
    whole = store.read(5)
    entry = whole["files"]["image"]
    for broken in ({"files": {"image": entry | {"path": name}}}, {"image": {"file_name": name}}):
        store.record_path(5).write_text(json.dumps(whole | broken))
        with pytest.raises(DataError, match=r"is damaged: (.* lies outside the output folder|Expected `str`)"):
            store.read(5)
        assert not store.has(5)


def test_what_a_running_process_writes_is_not_removed_however_long_it_takes(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        written = tmp_path / f".twinset-{atomic_files._host()}-{other.pid}-000001.jpg.tmp"
        elsewhere = tmp_path / f".twinset-anothermachine-{other.pid}-000002.jpg.tmp"
        for path in (written, elsewhere):
            path.touch()
            os.utime(path, (0, 0))
        assert atomic_files.remove_stale(tmp_path) == 1 and written.exists()
        other.communicate(b"\n")
    assert atomic_files.remove_stale(tmp_path) == 1 and not any(tmp_path.iterdir())


def test_records_are_json_whatever_they_hold(store, image):
    odd = {"a": np.array([1.0, np.nan]), "b": (np.bool_(True), -0.0), "c": {3: np.inf}, "d": 1 / 3, "e": {2, 1}}
    store.write(1, {**RECORD, **odd}, image)
    text = store.record_path(1).read_text()
    record = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert record["a"] == [1.0, None] and record["b"] == [True, 0.0] and record["c"] == {"3": None}
    assert record["d"] == 0.333333333 and record["e"] == [1, 2] and "-0.0" not in text
    *keys, last = record
    assert keys == sorted(keys) and last == "sha256"


def failing_at(number, code, real):
    """A stand-in for a system call that fails at its n-th use."""
    count = [0]

    def call(*args):
        count[0] += 1
        if count[0] == number:
            raise OSError(code, os.strerror(code))
        return real(*args)

    return call


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "is full"), (errno.EROFS, "cannot be written to"), (errno.EACCES, "permissions")],
)
def test_failed_writes_leave_nothing_half_written(store, image, monkeypatch, call, number, code, words):
    write_all(store, image, frame=1)
    before = everything(store.out)
    with monkeypatch.context() as patch:
        patch.setattr(atomic_files.os, call, failing_at(number, code, getattr(os, call)))
        with pytest.raises(OutputError, match=words) as caught:
            write_all(store, image, frame=2)
    assert str(store.out) in str(caught.value) and "choose another output folder" in str(caught.value)
    after = everything(store.out)
    assert not [name for name in after if name.endswith(".tmp")]
    assert not store.has(2) and store.frames() == [1]
    assert {k: after[k] for k in before} == before
    write_all(store, image, frame=2)  # and once there is space again, all is well
    assert store.missing(range(1, 3)) == []


def test_an_interrupted_rewrite_never_passes_for_the_old_frame(store, image, monkeypatch):
    store.write(1, RECORD, image, format="png")
    monkeypatch.setattr(atomic_files.os, "replace", failing_at(2, errno.ENOSPC, os.replace))
    with pytest.raises(OutputError):
        store.write(1, RECORD, image[::-1], format="png")  # new image in place, old record
    assert not store.has(1)


def test_prepare_removes_what_a_killed_run_left(store, image):
    write_all(store, image)
    before = everything(store.out)
    host = atomic_files._host()
    dead = 2**22 + 1  # above Linux's largest process id
    (store.out / "images" / f".twinset-{host}-{dead}-000006.jpg.tmp").write_bytes(b"half")
    living = store.out / "images" / f".twinset-{host}-{os.getppid()}-000007.jpg.tmp"
    elsewhere = store.out / "depth" / ".twinset-othermachine-1-000008.png.tmp"
    old = store.out / "masks" / ".twinset-othermachine-1-000009.png.tmp"
    for path in (living, elsewhere, old):
        path.write_bytes(b"half")
    os.utime(old, (1e9, 1e9))
    store.prepare()
    left = set(everything(store.out)) - set(before)
    assert left == {p.relative_to(store.out).as_posix() for p in (living, elsewhere)}


def test_prepare_says_where_it_cannot_write(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="a file has its name"):
        FrameStore(tmp_path / "file" / "out").prepare()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda p: usage(10**9, 10**9, 3 * 2**20))
    with pytest.raises(OutputError, match="has only 3 MiB left; at least 64 MiB"):
        FrameStore(tmp_path / "out").prepare()


def test_a_read_only_folder_is_refused_at_once(tmp_path):
    folder = tmp_path / "locked"
    FrameStore(folder).prepare()
    (folder / "frames").chmod(0o500)
    try:
        if os.access(folder / "frames", os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(OutputError, match=r"frames' cannot be written to"):
            FrameStore(folder).prepare()
    finally:
        (folder / "frames").chmod(0o700)


def test_frames_lists_records_alone(store, image):
    for frame in (12, 3, 1234567):
        store.write(frame, RECORD, image)
    (store.records / "notes.json").write_text("{}")
    assert store.frames() == [3, 12, 1234567]
    assert FrameStore(store.out / "none").frames() == []


WRITER = """
import sys
from pathlib import Path
import numpy as np
from twinset.dataset.labels.ids import encode_ids
from twinset.dataset.store.frames import FrameStore
from twinset.dataset.store.label_files import LabelFile
store = FrameStore(Path(sys.argv[1]))
store.prepare()
image = np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8)
label = [LabelFile("ids", "masks", "png", lambda path: path.write_bytes(encode_ids(image[..., 0])))]
for frame in range(int(sys.argv[2]), int(sys.argv[3])):
    if not store.has(frame):
        record = {"verdict": "accepted", "image": {}, "instances": []}
        store.write(frame, record, image, format="png", labels=label)
        print(frame, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_killed_and_resumed_equals_never_killed(tmp_path):
    def start(out, first=0, last=12):
        command = [sys.executable, "-c", WRITER, str(out), str(first), str(last)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    process = start(tmp_path / "killed", last=100_000)
    for _ in range(3):
        process.stdout.readline()
    process.kill()
    process.wait()
    store = FrameStore(tmp_path / "killed")
    assert len(store.frames()) >= 3
    assert store.missing(store.frames()) == []  # whatever has a record is whole
    last = max(12, store.frames()[-1] + 2)
    (tmp_path / "killed/images" / f".twinset-{atomic_files._host()}-{process.pid}-000099.png.tmp").write_bytes(b"half")
    runs = start(tmp_path / "killed", last=last), start(tmp_path / "whole", last=last)
    assert [run.wait() for run in runs] == [0, 0]
    assert everything(tmp_path / "killed") == everything(tmp_path / "whole")


def test_a_folder_is_not_taken_for_a_file(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    for name in ("folder", "link"):
        with pytest.raises(OutputError, match=rf"{name}' is a folder.* Name a file"):
            atomic_files.write_atomic(tmp_path / name, b"text")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "link"] and (tmp_path / "link").is_symlink()
