# SPDX-License-Identifier: GPL-3.0-or-later
"""The report page: well-formed, self-contained, escaped, deterministic, and with the numbers of the comparison."""

from __future__ import annotations

import json
import math
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from twinset.alignment.columns.registry import find_column
from twinset.alignment.distances.comparison import compare_measured
from twinset.alignment.features.density import fit_density
from twinset.alignment.features.extractor import Extractor
from twinset.dataset.analysis.measure import measure
from twinset.dataset.formats.dataset_folder import read_dataset
from twinset.dataset.report import provenance
from twinset.dataset.report.class_summary import shapes
from twinset.dataset.report.feature_map import feature_map
from twinset.dataset.report.formatting import format_number, format_quantity
from twinset.dataset.report.page import MAX_CLASSES, make_report
from twinset.dataset.report.report_dataset import ReportDataset, read_report_dataset, report_columns, spread
from twinset.dataset.store.frames import encode_image
from twinset.engine.errors import DataError
from twinset.headless.cli import app
from typer.testing import CliRunner

VOID = {"meta", "img", "br", "link", "hr", "input"}
DISTANCES = {"bhattacharyya": "Bhattacharyya", "ks": "Kolmogorov-Smirnov", "wasserstein": "Wasserstein"}
SHAPES = ("stool_0", "stool_1")
LINKS = {"https://doi.org/10.3929/ethz-b-000632743"}


class Page(HTMLParser):
    """A page taken apart: elements with attributes, text, and whether all that was opened is closed."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(html.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if "style" not in self.open and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def all(self, name):
        return [attrs for found, attrs in self.elements if found == name]


def dataset(
    folder: Path, boxes: list[list[list[float]]], *, name="chair", pictures=True, brightness=128, shape=""
) -> Path:
    """A COCO file with images of 64 x 48 in which each box is a bright rectangle."""
    rng = np.random.default_rng(len(boxes) + brightness)
    images, annotations = [], []
    for i, own in enumerate(boxes, 1):
        picture = np.clip(rng.normal(brightness, 20, (48, 64, 3)), 0, 255).astype(np.uint8)
        images.append({"id": i, "file_name": f"{i}.png", "width": 64, "height": 48})
        for x, y, w, h in own:
            picture[int(y) : int(y + h), int(x) : int(x + w)] //= 2
            a = {"id": len(annotations) + 1, "image_id": i, "category_id": 3, "bbox": [x, y, w, h], "area": w * h}
            if shape:
                a["twinset"] = {"shape": f"{shape}{i % 2}", "visible_share": 0.5 + 0.4 * (i % 2)}
            annotations.append(a)
        if pictures:
            (folder / "images").mkdir(parents=True, exist_ok=True)
            (folder / "images" / f"{i}.png").write_bytes(encode_image(picture, "png", 0))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 3, "name": name}]}))
    return path


def some_boxes(count: int, seed: int, scale: float = 1.0) -> list[list[list[float]]]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        w, h = (float(v) for v in np.round(rng.uniform(17, 26, 2) * scale))
        found.append([[float(rng.integers(0, int(64 - w))), float(rng.integers(0, int(48 - h))), w, h]])
    return found


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pair")
    real = dataset(folder / "photos", some_boxes(14, 1))
    synth = dataset(folder / "renders", some_boxes(12, 2, 1.5), brightness=200, shape="stool_")
    return real, synth


@pytest.fixture(scope="module")
def html(pair) -> bytes:
    return make_report(*pair, extractor=Extractor(), workers=1).html


def test_it_parses_and_fetches_nothing(html):
    page = Page(html)
    for name, attrs in page.elements:
        assert name not in ("script", "link", "iframe", "object", "base", "form")
        assert not [key for key in attrs if key.startswith("on")]
        for key in ("src", "href", "xlink:href"):
            value = attrs.get(key) or ""
            assert value.startswith(("data:image/jpeg;base64,", "#")) or not value or value in LINKS, value
    css = "".join(page.text[: page.text.index("Twinset report")])
    assert "url(" not in css and "@import" not in css


def test_links_lead_to_sections(html):
    page = Page(html)
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    assert targets and set(targets) <= set(ids)


def test_it_can_be_heard(html):
    page = Page(html)
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert all(attrs.get("alt") for attrs in page.all("img"))
    assert all(attrs.get("aria-label") or attrs.get("aria-hidden") for attrs in page.all("svg"))
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) > 0
    assert page.all("html")[0]["lang"] == "en"


def test_its_figures_are_those_of_the_comparison(pair, html):
    columns = [measure(read_dataset(path), path.parent / "images", workers=1).columns for path in pair]
    found = compare_measured(*columns)["classes"]["chair"]["columns"]
    rows = {tuple(row[:2]): row for row in Page(html).rows}
    assert {"sqrt_area", "center_x", "brightness", "image_contrast", "boxes_per_image"} <= set(found)
    for name, column in found.items():
        for key, words in DISTANCES.items():
            row = rows[name, words]
            value = column[key]
            assert row[2] == (format_number(value) if math.isfinite(value) else "no common bin")
            assert row[4] == format_number(column["floor" if key == "bhattacharyya" else f"{key}_floor"])
            assert row[5] == format_number(column[f"{key}_image_floor"])
            assert row[6] == format_number(column[f"{key}_upper_floor"])
        shown = [format_quantity(name, column[f"{side}_quantiles"][2]) for side in ("real", "synth")]
        if name == "touches_border":
            shown = [f"{np.mean(side[name]):.0%}" for side in columns]
        assert rows[find_column(name).heading, shown[0]][2] == shown[1]


def test_the_verdict_names_direction(pair, html):
    text = "".join(Page(html).text)
    found = make_report(*pair, pictures=0).verdict
    size = next(s for s in found.significant if s.column == "sqrt_area")
    assert size.direction == "larger"
    assert "Box size (square root of relative area): synthetic ones are larger" in text
    # Without a recipe, advice names plugins that one could have.
    assert "of a new [[camera]] framed" in text


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "\"><img src=x onerror='alert(1)'>", "a & b\x00\x1b 'c'"]
)
def test_names_from_files_are_only_text(tmp_path, name):
    sides = []
    for side in ("real", "synth"):
        path = dataset(tmp_path / side, some_boxes(6, 3), name=name, shape=name)
        data = json.loads(path.read_text())
        data["info"] = {"description": name, "url": "https://example.org/x", "license": name}
        for image in data["images"]:
            image["file_name"] = f"{name}{image['id']}.png"
        path.write_text(json.dumps(data))
        sides.append(path)
    (tmp_path / "synth" / "annotations").mkdir()
    shutil.move(sides[1], tmp_path / "synth" / "annotations" / "instances.json")
    rows = [
        {"value": name, "judged": 4, "accepted": 1, "score": None},
        {"value": "b", "judged": 4, "accepted": 3, "score": 1},
    ]
    gate = {"judged": 8, "accepted": 4, "refused_as_drafts": 2, "by": {"shape": rows}}
    funnel = {"tried": 9, "accepted": 6, "rejected": {name: 3}, "given_up": 0, "rejected_after_render": 0, "gate": gate}
    (tmp_path / "synth" / "summary.json").write_text(json.dumps({"funnel": funnel}))
    (tmp_path / "synth" / "recipe.toml").write_text(f"# {name.encode('ascii', 'replace').decode()}")
    page = Page(make_report(sides[0], tmp_path / "synth").html)
    assert not page.all("script") and not page.all("img")
    assert ["b", "4", " 75%", "1.00"] in page.rows and ["Accepted", "6", " 66.7%"] in page.rows
    assert not [key for _, attrs in page.elements for key in attrs if key.startswith("on")]
    assert {a["href"] for a in page.all("a") if not a["href"].startswith("#")} == LINKS
    kept = re.sub("[\x00\x1b]", "\ufffd", name)
    assert "".join(page.text).count(kept) > 5


@pytest.mark.parametrize(
    "funnel", [{"tried": "many"}, {"tried": 3, "rejected": [1]}, {"tried": 3, "gate": {"judged": 2, "by": {"x": [{}]}}}]
)
def test_a_damaged_summary_is_left_out(tmp_path, caplog, funnel):
    coco = read_dataset(dataset(tmp_path / "a", some_boxes(9, 1)))
    assert provenance.funnel(ReportDataset("a", coco, None, summary={"funnel": funnel})) is None
    assert "is damaged" in caplog.text


def test_the_same_datasets_give_the_same_bytes(pair, html, tmp_path):
    moved = []
    for path in pair:
        shutil.copytree(path.parent, tmp_path / "elsewhere" / path.parent.name)
        moved.append(tmp_path / "elsewhere" / path.parent.name / path.name)
    assert make_report(*moved, extractor=Extractor(), workers=1).html == html
    assert make_report(*pair, extractor=Extractor(), workers=1, seed=1).html != html


def test_without_pictures_it_says_so(tmp_path):
    real = dataset(tmp_path / "a", some_boxes(9, 1), pictures=False)
    synth = dataset(tmp_path / "b", some_boxes(9, 2), pictures=False)
    page = Page(make_report(real, synth, extractor=Extractor()).html)
    assert not page.all("img") and not page.all("image")
    assert "The images were not found near the annotations" in "".join(page.text)
    boxes = [a for a in page.all("rect") if a.get("stroke")]
    assert len(boxes) == 16  # eight pictures a side, one box each


@pytest.mark.parametrize("count", [1, 2])
def test_few_boxes_are_told_of(tmp_path, count):
    real = dataset(tmp_path / "a", some_boxes(count, 1))
    synth = dataset(tmp_path / "b", some_boxes(5, 2), shape="s")
    page = Page(make_report(real, synth, extractor=Extractor(), workers=1).html)
    text = "".join(page.text)
    assert "too few to fit a density" in text
    if count == 1:
        assert "Nothing can be said" in text and "unknown" in text


def test_classes_are_limited_and_missing_ones_named(tmp_path):
    classes = 12
    images = [{"id": 1, "file_name": "1.jpg", "width": 64, "height": 48}]
    rows = [(c, k) for c in range(classes) for k in range(c + 1)]
    annotations = [
        {"id": i, "image_id": 1, "category_id": c, "bbox": [1 + k, 2 + k, 9 + c, 8 + k], "area": 1.0}
        for i, (c, k) in enumerate(rows, 1)
    ]
    categories = [{"id": c, "name": f"class {c}"} for c in range(classes)]
    path = tmp_path / "many.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    found = make_report(path, path)
    assert list(found.compared["classes"]) == [f"class {c}" for c in range(11, 11 - MAX_CLASSES, -1)]
    assert "class 0" in found.notes[0] and found.notes[0] in "".join(Page(found.html).text)
    assert list(make_report(path, path, class_name="class 0").compared["classes"]) == ["class 0"]
    with pytest.raises(DataError, match="no class 'class 99'"):
        make_report(path, path, class_name="class 99")
    other = dataset(tmp_path / "o", some_boxes(3, 1), name="stool", pictures=False)
    with pytest.raises(DataError, match=r"share no class.*class 1.*stool"):
        make_report(path, other)


def test_a_share_of_pictures_is_measured_the_same(pair):
    material = read_report_dataset(pair[0])
    whole, part = report_columns(material, 100, workers=1), report_columns(material, 5, workers=1)
    for name in ("brightness", "image_entropy"):
        known_ = np.isfinite(part[name])
        assert known_.sum() == 5
        assert np.array_equal(np.asarray(part[name])[known_], np.asarray(whole[name])[known_])
    assert np.array_equal(part["bbox_area"], whole["bbox_area"])


def test_the_map_is_that_of_principal_components(pair):
    from sklearn.decomposition import PCA

    extractor = Extractor()
    real, synth = read_report_dataset(pair[0]), read_report_dataset(pair[1])
    found = feature_map(real, synth, "chair", extractor, limit=12)
    boxes = [
        extractor.extract_boxes(side.picture(image), [a["bbox"]])
        for side in (real, synth)
        for image, a in zip(side.coco.images, side.coco.annotations, strict=True)
        if image["id"] in {i + 1 for i in spread(len(side.coco.images), 12)}
    ]
    features = np.concatenate(boxes).astype(float)
    mean, scale = features[:12].mean(0), features[:12].std(0)
    standard = (features - mean) / np.where(scale > 1e-9 * (1 + np.abs(mean)), scale, 1.0)
    expected = PCA(2, svd_solver="full").fit(standard)
    own = np.concatenate([found.real, found.synth])
    assert np.abs(own) == pytest.approx(np.abs(expected.transform(standard)), rel=1e-4, abs=1e-4)
    assert found.explained == pytest.approx(expected.explained_variance_ratio_.sum(), rel=1e-6)
    assert set(found.scores) == {a["id"] for a in synth.coco.annotations}
    density = fit_density(features[:12], np.arange(12))
    assert list(found.scores.values()) == pytest.approx(density.score_samples(features[12:]))
    assert found.strange == np.mean(density.score_samples(features[12:]) <= 0.05)
    order = np.argsort(-density.distance(features[12:]))
    assert [e.at for e in found.odd] == [tuple(found.synth[i]) for i in order[:6]]
    listed = shapes(report_columns(synth, 0), "chair", found.scores)
    means = {name: np.mean([found.scores[i] for i in range(1, 13) if i % 2 == k]) for k, name in enumerate(SHAPES)}
    assert {s.name: s.score.mean for s in listed} == pytest.approx(means)
    assert listed[0].score.mean <= listed[1].score.mean and [s.count for s in listed] == [6, 6]
    assert {s.visible for s in listed} == {0.5, 0.9}


def test_the_command(pair, tmp_path):
    out = tmp_path / "page" / "report.html"
    args = [str(p) for p in pair]
    done = CliRunner().invoke(app, ["report", *args, "-o", str(out), "--no-features", "--max-images", "0", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["bytes"] == out.stat().st_size and told["classes"]["chair"]["n_real"] == 14
    assert any(s["column"] == "sqrt_area" for s in told["verdict"]["off"])
    wrong = CliRunner().invoke(app, ["report", args[0], str(tmp_path / "none.json"), "-o", str(tmp_path / "x.html")])
    assert wrong.exit_code == 2 and "does not exist" in wrong.stderr and not (tmp_path / "x.html").exists()


def test_photos_of_two_sources(data):
    found = make_report(
        data / "annotations" / "cartucho_map_A45.json",
        data / "annotations" / "coco_permissive.json",
        class_name="chair",
        extractor=Extractor(),
        boxes=20,
        pictures=0,
    )
    page = Page(found.html)
    text = "".join(page.text)
    assert found.compared["classes"]["chair"]["n_real"] == 44
    assert len(page.all("img")) == 36 and "Attribution License" in text
    assert len(found.html) < 2e6
