# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands filter and curate on painted discs: what was painted otherwise goes, and is said to."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from recipes import recipe_text
from twinset.alignment.features.curation import reject_atypical
from twinset.alignment.features.density import load_density
from twinset.alignment.features.extractor import Extractor
from twinset.dataset.analysis.feature_scores import score_boxes
from twinset.dataset.formats.dataset_folder import read_dataset
from twinset.engine.errors import DataError, OutputError
from twinset.engine.recipe.reading import load_recipe
from twinset.headless.cli import app
from twinset.headless.commands.improve.curation import write_new
from typer.testing import CliRunner, Result

SIZE, REAL, RIGHT, WRONG = 96, 24, 16, 5


def painted(k: int, period: float) -> np.ndarray:
    """A disc of stripes on grey, of a direction and contrast of its own."""
    rng = np.random.default_rng(k)
    y, x = np.mgrid[:SIZE, :SIZE]
    turn = rng.uniform(0.2, 0.6)
    wave = 128 + rng.uniform(60, 90) * np.cos(2 * np.pi / period * (x * np.cos(turn) + y * np.sin(turn)))
    image = np.where((x - 48) ** 2 + (y - 48) ** 2 < 30**2, wave, 90.0) + rng.normal(0, 4, (SIZE, SIZE))
    return np.repeat(image.clip(0, 255).astype(np.uint8)[..., None], 3, 2)


def dataset(folder: Path, pictures: list[tuple[np.ndarray, str]]) -> Path:
    """One disc per picture, each with its shape, and a speck in the first."""
    (folder / "images").mkdir(parents=True)
    images, boxes = [], []
    for k, (picture, shape) in enumerate(pictures):
        cv2.imwrite(str(folder / f"images/{k:02d}.png"), picture)
        images.append({"id": k, "file_name": f"{k:02d}.png", "width": SIZE, "height": SIZE, "site": f"site {k % 2}"})
        box = {"id": k + 1, "image_id": k, "category_id": 1, "bbox": [18, 18, 60, 60], "area": 3600}
        boxes.append(box | ({"twinset": {"shape": shape}} if shape else {}))
    boxes.append({"id": 99, "image_id": 0, "category_id": 1, "bbox": [3, 3, 5, 40], "area": 200})
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "disc"}]}))
    return path


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``real``; ``bag``: 16 like the real ones of the shapes a and b, 5 with coarser stripes of shape c; features."""
    folder = tmp_path_factory.mktemp("material")
    dataset(folder / "real", [(painted(k, 6), "") for k in range(REAL)])
    bag = [(painted(100 + k, 6), "ab"[k % 2]) for k in range(RIGHT)] + [
        (painted(200 + k, 14), "c[1]") for k in range(5)
    ]
    dataset(folder / "bag", bag)
    done = run("fit-features", folder / "real/labels.json", "--class", "disc", "-o", folder / "disc.features")
    assert done.exit_code == 0, done.output
    return folder


def run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in args])


def result(*args: object) -> dict:
    done = run(*args, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_the_elbow_finds_what_was_painted_otherwise(material: Path, tmp_path: Path) -> None:
    bag, features = material / "bag/labels.json", material / "disc.features"
    before = bag.read_bytes()
    said = result("filter", bag, "--features", features, "-o", tmp_path / "new", "--out-scores", tmp_path / "s.csv")
    assert (said["scored"], said["refused"], said["rule"]) == (RIGHT + WRONG, WRONG, "elbow")
    assert bag.read_bytes() == before
    new = read_dataset(tmp_path / "new")
    assert [a["id"] for a in new.annotations] == [*range(1, RIGHT + 1), 99]
    step = json.loads((tmp_path / "new/curation.json").read_text())["steps"][0]
    assert step["features"][0]["sha256"] == hashlib.sha256(features.read_bytes()).hexdigest()
    assert step["annotations_left_out"] == WRONG and step["thresholds"].keys() == {"disc"}
    lines = (tmp_path / "s.csv").read_text().splitlines()
    assert len(lines) == RIGHT + WRONG + 2 and lines[0].endswith("kept")
    assert [line.endswith("True") for line in lines[1:]].count(False) == WRONG


@pytest.mark.parametrize("rule", [["--keep", 16], ["--quantile", 0.02], ["--per", "image", "--pool", "min"]])
def test_other_rules_and_images(material: Path, tmp_path: Path, rule: list) -> None:
    bag = material / "bag/labels.json"
    said = result("filter", bag, "--features", material / "disc.features", "-o", tmp_path / "new", *rule)
    assert said["refused"] == WRONG
    images = 0 if "--per" not in rule else WRONG
    assert said["written"]["images"] == RIGHT + WRONG - images
    assert len(read_dataset(tmp_path / "new").annotations) == RIGHT + 1


def test_a_share_is_kept_of_boxes_and_of_images(material: Path, tmp_path: Path) -> None:
    shared = ["filter", material / "bag/labels.json", "--features", material / "disc.features"]
    scored = RIGHT + WRONG
    assert result(*shared, "--keep", "80%")["refused"] == scored - round(0.8 * scored)
    said = result(*shared, "--keep", "50 %", "--per", "image", "-o", tmp_path / "new")
    assert said["written"]["images"] == round(0.5 * scored)
    assert result(*shared, "--keep", "100%")["refused"] == 0


def test_boxes_of_all_classes_are_judged_by_one_of_them(material: Path, tmp_path: Path) -> None:
    """The same pictures, some of them called otherwise: whatever they are called, the coarse ones go."""
    data = json.loads((material / "bag/labels.json").read_text())
    data["categories"].append({"id": 2, "name": "plate"})
    for annotation in data["annotations"][::2]:
        annotation["category_id"] = 2
    path = material / "bag/mixed.json"
    path.write_text(json.dumps(data))
    shared = ["filter", path, "--real", material / "real/labels.json"]
    said = result(*shared, "--judge", "all", "-o", tmp_path / "new")
    assert (said["scored"], said["refused"], said["judge"]) == (RIGHT + WRONG, WRONG, "all")
    assert sorted(a["id"] for a in read_dataset(tmp_path / "new").annotations) == [*range(1, RIGHT + 1), 99]
    own = result(*shared)
    assert own["scored"] == sum(a["category_id"] == 1 and a["id"] != 99 for a in data["annotations"])
    assert own["thresholds"].keys() == {"disc"}
    path.unlink()


def test_all_classes_need_one_class_that_judges(material: Path) -> None:
    data = json.loads((material / "real/labels.json").read_text())
    data["categories"].append({"id": 2, "name": "plate"})
    for annotation in data["annotations"][::2]:
        annotation["category_id"] = 2
    for folder in ("real", "bag"):
        (material / folder / "two.json").write_text(json.dumps(data))
    done = run("filter", material / "real/two.json", "--real", material / "real/two.json", "--judge", "all")
    assert done.exit_code == 2 and "by one class's features. Got those of 2." in done.stderr
    for folder in ("real", "bag"):
        (material / folder / "two.json").unlink()


def test_features_learned_on_the_fly_are_the_same(material: Path) -> None:
    bag = material / "bag/labels.json"
    stored = result("filter", bag, "--features", material / "disc.features")
    learned = result("filter", bag, "--real", material / "real/labels.json", "--class", "disc")
    assert learned["thresholds"] == stored["thresholds"]
    assert learned["features"][0]["sha256"] == stored["features"][0]["sha256"]
    assert stored["written"] is None


def test_the_worst_shape_is_named_and_taken_out(material: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(recipe_text(classes=[{"name": "disc", "models": ["discs/*.glb"]}]))
    shared = ["curate", material / "bag/labels.json", "--features", material / "disc.features"]
    said = result(
        *shared, "--remove", 1, "--base-recipe", recipe, "--out-recipe", tmp_path / "b.toml", "-o", tmp_path / "new"
    )
    worst = said["groups"][0]
    assert (said["by"], said["taken"], worst["name"], worst["worse"]) == ("shape", ["c[1]"], "c[1]", True)
    assert worst["count"] == WRONG and worst["high"] < said["groups"][1]["low"]
    assert load_recipe(tmp_path / "b.toml", check_files=False).classes[0].exclude == ["c[[]1]"]
    left = read_dataset(tmp_path / "new")
    assert {a["twinset"]["shape"] for a in left.annotations if a["id"] != 99} == {"a", "b"}
    assert len(left.images) == RIGHT
    # The limit lies between the shapes, and groups of few are not judged.
    limit = (worst["mean"] + said["groups"][1]["mean"]) / 2
    assert result(*shared, "--min-typicality", limit)["taken"] == ["c[1]"]
    assert result(*shared, "--min-typicality", limit, "--min-boxes", 6)["taken"] == []
    assert "worse" in run(*shared).stdout


def test_real_datasets_have_other_groups(material: Path) -> None:
    shared = ["curate", material / "real/labels.json", "--features", material / "disc.features"]
    assert [g["name"] for g in result(*shared)["groups"]] == ["disc"]
    assert sorted(g["name"] for g in result(*shared, "--by", "site")["groups"]) == ["site 0", "site 1"]
    assert result(*shared, "--by", "image")["groups"][0]["name"].endswith(".png")
    done = run(*shared, "--by", "sites")
    assert done.exit_code == 2 and "no column 'sites'. Did you mean 'site'?" in done.stderr


def test_the_remedy_names_the_option_that_helps(material: Path) -> None:
    done = run(
        *("filter", material / "bag/labels.json", "--real", material / "real/labels.json", "--class", "disc"),
        *("--real-images", material / "nowhere"),
    )
    assert done.exit_code == 2 and "Name their folder with --real-images." in done.output


def test_a_class_of_specks_alone_does_not_stop_the_others(material: Path) -> None:
    data = json.loads((material / "bag/labels.json").read_text())
    data["categories"].append({"id": 2, "name": "speck"})
    data["annotations"][-1]["category_id"] = 2
    path = material / "bag/two.json"
    path.write_text(json.dumps(data))
    coco, disc, extractor = read_dataset(path), load_density(material / "disc.features"), Extractor()
    found = score_boxes(coco, material / "bag/images", {"speck": disc, "disc": disc}, extractor)
    assert found.small == 1 and list(found.known) == list(found.class_name == "disc")
    with pytest.raises(DataError, match="boxes of 'speck', each with a side under 16"):
        score_boxes(coco, material / "bag/images", {"speck": disc}, extractor)
    path.unlink()


def test_mistakes_are_named(material: Path, tmp_path: Path) -> None:
    bag, features = material / "bag/labels.json", material / "disc.features"
    for args, words in [
        ([], "--features FILE, or learn them with --real"),
        (["--features", features, "--real", bag], "--features FILE, or learn them with --real"),
        (["--real", bag, "--class", "square"], "no class 'square'"),
        (["--features", features, "--keep", "0%"], "a share, such as 80%"),
        (["--features", features, "--keep", "1.5"], "a share, such as 80%"),
        (["--features", features, "--judge", "some"], "own, all"),
        (["--features", features, "--features", features], "one file per class"),
        (["--features", features, "--per", "frame"], "box, image"),
        (["--features", features, "--keep", 3, "--quantile", 0.1], "not both"),
        (["--features", features, "--pool", "sum"], "mean, median, min, max"),
        (["--features", features, "-o", tmp_path], "already exists"),
        (["--features", features, "--model", features], "no ONNX file"),
    ]:
        done = run("filter", bag, *args)
        assert done.exit_code == 2 and words in " ".join(done.stderr.split()), (args, done.output)
    done = run("curate", bag, "--features", features, "-o", tmp_path / "x")
    assert done.exit_code == 2 and "--remove N" in done.stderr
    assert not (tmp_path / "x").exists()


def test_unscored_boxes_are_never_refused() -> None:
    scores = np.array([np.nan, -9.0, 0.0, 0.1, 0.2, np.nan])
    images = np.array([1, 1, 2, 2, 3, 4])
    real = {"a": np.linspace(-1, 1, 50)}
    for rule in ({"keep": 3}, {"quantile": 0.1}):
        assert reject_atypical(scores, np.array(["a"] * 6), images, real, **rule).rejected.tolist() == [
            False,
            True,
            *[False] * 4,
        ]
        whole = reject_atypical(
            scores, np.array(["a"] * 6), images, real, per="image", **({"keep": 2} if "keep" in rule else rule)
        )
        assert whole.rejected.tolist() == [True, True, *[False] * 4]


def test_what_a_killed_command_wrote_first_is_written_again(tmp_path: Path) -> None:
    """`augment` and `curate` write two files; the first alone must not block them, and another's is kept."""
    path = tmp_path / "near.frames.json"
    for _ in range(2):
        write_new(path, b"frames")
    with pytest.raises(OutputError, match="already exists"):
        write_new(path, b"other frames")
    assert path.read_bytes() == b"frames"
