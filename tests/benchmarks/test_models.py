# SPDX-License-Identifier: GPL-3.0-or-later
"""The detectors' parts: backbones as another runtime computes them, boxes there and back, and what each cell learns."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")


def onnx_maps(path, taps, picture):
    """The maps after the given layers, by ONNX Runtime and its own SAME_UPPER padding."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    file = np.load(path)
    nodes, values, names, x = [], [], {}, "picture"
    values += [numpy_helper.from_array(np.float32(v), n) for n, v in (("low", 0), ("high", 6))]
    residual = {int(a): int(b) for a, b in file["residual"]}
    for k in range(taps[-1] + 1):
        for part in ("weight", "bias"):
            values.append(numpy_helper.from_array(file[f"{k:02d}.{part}"].astype(np.float32), f"{part}{k}"))
        stride = [int(file[f"{k:02d}.stride"])] * 2
        settings = {"strides": stride, "group": int(file[f"{k:02d}.groups"]), "auto_pad": "SAME_UPPER"}
        nodes.append(helper.make_node("Conv", [x, f"weight{k}", f"bias{k}"], [f"sum{k}"], **settings))
        x = f"sum{k}"
        if file[f"{k:02d}.relu6"]:
            nodes.append(helper.make_node("Clip", [x, "low", "high"], [f"clipped{k}"]))
            x = f"clipped{k}"
        if k in residual:
            nodes.append(helper.make_node("Add", [x, names[residual[k]]], [f"added{k}"]))
            x = f"added{k}"
        names[k] = x
    ends = [helper.make_tensor_value_info(names[k], TensorProto.FLOAT, ["n", "c", f"h{k}", f"w{k}"]) for k in taps]
    start = helper.make_tensor_value_info("picture", TensorProto.FLOAT, picture.shape)
    graph = helper.make_graph(nodes, "backbone", [start], ends, values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"picture": picture})


@pytest.mark.parametrize(
    ("file", "taps"), [("mobilenet_v1_0.5.npz", (10, 22, 26)), ("mobilenet_v2_1.0.npz", (18, 39, 51))]
)
def test_backbones_compute_what_onnx_runtime_does(data, detector_module, file, taps):
    pytest.importorskip("onnx")
    torch.set_num_threads(1)
    backbone = detector_module("models.backbone").Backbone(data / "weights" / file, taps)
    picture = np.random.default_rng(0).uniform(-1, 1, (1, 3, 100, 75)).astype(np.float32)  # odd maps on the way
    with torch.inference_mode():
        ours = backbone(torch.from_numpy(picture))
    for a, b in zip(ours, onnx_maps(data / "weights" / file, taps, picture), strict=True):
        assert a.shape == b.shape
        assert float(np.abs(a.numpy() - b).max()) < 1e-3


SHOWN = [  # photos of COCO, a box, and the numbers of its names
    ("coco_permissive/000000519208.jpg", (0, 0, 640, 400), {386, 387}),  # Indian and African elephant
    ("coco_permissive/000000062554.jpg", (1, 102, 397, 273), {938}),  # broccoli
    ("coco_permissive/000000331352.jpg", (28, 252, 293, 239), {862}),  # toilet seat
    ("coco_permissive/000000516008.jpg", (255, 34, 270, 261), {621, 682}),  # laptop, notebook
    ("coco_bysa/000000252639.jpg", (143, 141, 233, 134), {655, 875}),  # minibus, trolleybus
]


LAST = {"mobilenet_v1_0.5.npz": (26,), "mobilenet_v2_1.0.npz": (51,)}


@pytest.mark.parametrize("file", LAST)
def test_a_backbone_names_what_photos_show(data, detector_module, file):
    """The first of ImageNet's classes, which have a background class before them."""
    cv2 = pytest.importorskip("cv2")
    backbone = detector_module("models.backbone").Backbone(data / "weights" / file, LAST[file]).eval()
    for name, (x, y, w, h), known in SHOWN:
        pixels = cv2.cvtColor(cv2.imread(str(data / "images" / name)), cv2.COLOR_BGR2RGB)
        pixels = cv2.resize(pixels[y : y + h, x : x + w], (224, 224), interpolation=cv2.INTER_AREA)
        picture = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.inference_mode():
            best = int(backbone.classify(picture)[0].argmax())
        assert best in known, name


@pytest.fixture(scope="module")
def boxes(detector_module):
    return detector_module("models.boxes")


def random_boxes(n, seed):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 100, (n, 2))
    return torch.from_numpy(np.hstack([low, low + rng.uniform(5, 80, (n, 2))])).float()


def test_boxes_are_decoded_as_they_were_encoded(boxes):
    a, anchors = random_boxes(200, 0), random_boxes(200, 1)
    assert torch.allclose(boxes.decode(boxes.encode(a, anchors), anchors), a, atol=1e-3)
    assert torch.allclose(boxes.encode(anchors, anchors), torch.zeros(200, 4), atol=1e-5)


def test_overlaps_are_those_of_pycocotools(boxes):
    from pycocotools import mask

    a, b = random_boxes(20, 2), random_boxes(30, 3)
    as_sides = [np.hstack([x[:, :2], x[:, 2:] - x[:, :2]]).astype(float) for x in (a.numpy(), b.numpy())]
    assert np.allclose(boxes.overlaps(a, b).numpy(), mask.iou(*as_sides, [0] * 30), atol=1e-5)
    same = boxes.giou(a, a)
    assert torch.allclose(same, torch.ones(20), atol=1e-5)
    # By hand: two unit squares, one apart: no overlap, two thirds of the hull are filled.
    apart = boxes.giou(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[2.0, 0, 3, 1]]))
    assert apart.item() == pytest.approx(-1 / 3)


def test_duplicates_are_suppressed_best_first(boxes):
    found = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [30, 30, 40, 40], [0, 0, 10, 11]], float)
    assert boxes.kept_boxes(found, np.array([0.5, 0.9, 0.3, 0.4]), 0.5).tolist() == [1, 2]


def test_cells_near_the_middle_of_the_smallest_box_learn_it(detector_module):
    assigned = detector_module("models.anchor_free").assigned
    y, x = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    fine = (torch.stack([x, y], -1).reshape(-1, 2) + 0.5) * 8
    coarse = (torch.stack([x[:6, :6], y[:6, :6]], -1).reshape(-1, 2) + 0.5) * 16
    centres = torch.cat([fine, coarse])
    strides = torch.cat([torch.full((64,), 8.0), torch.full((36,), 16.0)])
    large, small = [0.0, 0, 64, 64], [16.0, 16, 32, 32]
    of_cell = assigned(torch.tensor([large, small]), centres, strides)
    assert set(of_cell[:64].tolist()) == {-1, 1} and set(of_cell[64:].tolist()) == {-1, 0}
    inside = ((fine - 24).abs() < 8).all(1)
    assert (of_cell[:64] == 1).tolist() == inside.tolist()
    assert ((of_cell[64:] == 0) == ((coarse - 32).abs() <= 24).all(1)).all()
    assert (assigned(torch.zeros(0, 4), centres, strides) == -1).all()
    thin = assigned(torch.tensor([[4.5, 0, 6.5, 30]]), centres, strides)
    assert (thin == 0).sum() >= 1  # even if no cell's centre is inside


def test_each_box_has_an_anchor(detector_module):
    based = detector_module("models.anchor_based")
    maps = zip(((24, 32), (12, 16), (6, 8)), based.STRIDES, based.SIDES, strict=True)
    anchors = torch.cat([based.anchor_boxes(*shape, stride, sides) for shape, stride, sides in maps])
    assert len(anchors) == 3 * (2 * 24 * 32 + 2 * 12 * 16 + 3 * 6 * 8)
    sides = anchors[:, 2:] - anchors[:, :2]
    assert math.isclose(sides.prod(1).sqrt().max().item(), 181, rel_tol=1e-3)
    of_anchor = based.matched(torch.tensor([[10.0, 10, 14, 14], [50, 50, 150, 120]]), anchors)
    assert {0, 1, -1} <= set(of_anchor.tolist())
