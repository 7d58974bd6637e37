# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists the objects, scenes and textures of datasets that BlenderProc loads, each with its files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import attrs

from ...engine.errors import DataError, StageError
from ...engine.plugin.params import unknown
from ...engine.recipe.paths import absolute_path
from ...engine.recipe.settings import SceneSettings
from ...engine.recipe.tables.classes import ClassSettings
from ..json_files import read_json

MAX_OBJECTS = 1000
"""More objects are probably a mistake: a dataset of tens of thousands without a selection."""

_MAX_LISTED = 20
_COLOR = r"_(diff|diffuse|col|albedo)_"
_HEADER_BYTES = 2**16


@attrs.frozen
class SourceObject:
    """One object of a dataset.

    Attributes
    ----------
    name : str
        The name of its asset.
    labels : tuple of str
        Other names that a selection may use: its id in the dataset, its category.
    file : Path
        The model.
    extra : tuple of Path
        Index files of the dataset that name its objects.
    """

    name: str
    labels: tuple[str, ...]
    file: Path
    extra: tuple[Path, ...] = ()

    def files(self) -> Iterator[Path]:
        """The model and the existing files that it refers to."""
        yield from (*self.extra, *model_files(self.file))


@attrs.frozen
class SourceScene:
    """One scene of a dataset: ``name``, ``paths`` by their role in the loader, and all its ``files``."""

    name: str
    paths: Mapping[str, Path]
    files: tuple[Path, ...]


def find_objects(settings: ClassSettings, folder: Path) -> list[SourceObject]:
    """The objects that a class or distractors take from a dataset, ordered by name.

    Parameters
    ----------
    settings : ClassSettings
        With ``blenderproc`` and ``dataset``.
    folder : Path
        Where relative paths start.

    Raises
    ------
    StageError
        If the folder is not such a dataset, a pattern of ``select`` matches nothing, or too many objects are selected.
    """
    root = _root(settings.dataset, settings.blenderproc, folder)
    listed = _OBJECTS[settings.blenderproc](root)
    if not settings.select:
        chosen = listed
    else:
        chosen = [o for o in listed if any(_has_name(o, pattern) for pattern in settings.select)]
        for pattern in settings.select:
            if not any(_has_name(o, pattern) for o in chosen):
                known = list(dict.fromkeys(label for o in listed for label in o.labels))
                known = sorted(known, key=lambda text: ("/" in text, text))[:_MAX_LISTED]
                raise StageError(unknown(f"select: the dataset {root} has nothing called", pattern, known))
    if len(chosen) > MAX_OBJECTS:
        labels = sorted({o.labels[-1] for o in listed})[:_MAX_LISTED]
        raise StageError(
            f"The dataset {root} has {len(chosen)} objects, more than {MAX_OBJECTS}. Select some with select, "
            f"such as {', '.join(labels)}."
        )
    return chosen


def find_scene(settings: SceneSettings, folder: Path) -> SourceScene:
    """The scene that a recipe takes from a dataset; raises as :func:`find_objects` does."""
    root = _root(settings.dataset, settings.blenderproc, folder)
    return _SCENES[settings.blenderproc](root, settings.scene)


def find_materials(settings: SceneSettings, folder: Path) -> dict[str, list[Path]]:
    """The texture folders that each entry of ``material_assignments`` allows, by its pattern of object names.

    Raises
    ------
    StageError
        If the folder has no textures laid out as on Poly Haven, or none that a pattern matches.
    """
    root = absolute_path(folder, settings.materials)
    folders = [p for p in (root, root / "textures") if p.is_dir()]
    available = {p.name: p for place in folders for p in sorted(place.iterdir()) if p.is_dir() and pictures_of(p)}
    if not available:
        raise StageError(
            f"[scene] materials: {root} has no textures. Files such as NAME/NAME_diff_2k.jpg are expected."
        )
    textures: dict[str, list[Path]] = {}
    for entry in settings.material_assignments:
        objects, pattern = (part.strip() for part in entry.rpartition(":")[::2])
        textures[objects] = [path for name, path in available.items() if fnmatchcase(name, pattern)]
        if not textures[objects]:
            text = f"[scene] material_assignments: {root} has no texture called"
            raise StageError(unknown(text, pattern, sorted(available)[:_MAX_LISTED]))
    return textures


def pictures_of(textures: Path) -> list[Path]:
    """The images of one texture; empty if there is no colour map."""
    pictures = sorted(textures.glob("*.jpg"))
    return pictures if any(re.search(_COLOR, p.name.lower()) for p in pictures) else []


def model_files(path: Path) -> list[Path]:
    """A model with the existing files that it refers to: materials and textures of .obj and .ply."""
    files = [path]
    if path.suffix.lower() == ".obj":
        for material in _referenced_files(path, r"^mtllib\s+(.+?)\s*$"):
            files += [
                material,
                *_referenced_files(material, r"^\s*(?:map_\w+|bump|disp|refl|norm)\s+(?:-\S+\s+\S+\s+)*(.+?)\s*$"),
            ]
    elif path.suffix.lower() == ".ply":
        files += _referenced_files(path, r"^comment TextureFile\s+(.+?)\s*$", max_bytes=_HEADER_BYTES)
    return [f for f in dict.fromkeys(files) if f.is_file()]


def check_models(paths: Iterable[Path]) -> None:
    """Raise StageError for a .ply with an invalid count in its header, which crashes Blender 4.5."""
    for path in paths:
        if path.suffix.lower() != ".ply":
            continue
        with open(path, "rb") as file:
            header = file.read(_HEADER_BYTES).partition(b"end_header")[0].decode("latin-1")
        for line in re.findall(r"^\s*element\b.*$", header, re.MULTILINE):
            words = line.split()
            if len(words) != 3 or not re.fullmatch("[0-9]{1,9}", words[2]):
                raise StageError(
                    f"{path} is not a valid model: its header says '{line.strip()[:60]}'. Replace the file."
                )


def _root(dataset: str, loader: str, folder: Path) -> Path:
    root = absolute_path(folder, dataset)
    if not root.is_dir():
        raise StageError(
            f"dataset: the folder {root} does not exist. Name the folder of the dataset for the loader '{loader}'."
        )
    return root


def _has_name(source: SourceObject, pattern: str) -> bool:
    return any(fnmatchcase(text, pattern) for text in (source.name, *source.labels))


def _referenced_files(path: Path, line: str, max_bytes: int = -1) -> list[Path]:
    """Files named in a text file, relative to its folder, by a regular expression for lines."""
    try:
        with open(path, encoding="latin-1") as file:
            names = re.findall(line, file.read(max_bytes), re.MULTILINE)
    except OSError:
        return []
    return [path.parent / name.replace("\\", "/") for name in dict.fromkeys(names)]


def _read(path: Path, kind: type, what: str) -> Any:
    """The content of a JSON file, a dict or list as set by ``kind``."""
    if not path.is_file():
        raise StageError(f"{path} is missing: {what}.")
    try:
        content = read_json(path)
    except DataError as error:
        raise StageError(str(error)) from error
    if not isinstance(content, kind):
        raise StageError(f"{path} has unexpected content. It must be {what}.")
    return content


def _resolve_inside(root: Path, name: str) -> Path:
    """A path below ``root`` that an untrusted file names."""
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise StageError(f"{root} names the file '{name}', which lies outside it. Remove that entry.")
    return path


def _bop_objects(root: Path) -> list[SourceObject]:
    models, base = _bop_models(root)
    info = models / "models_info.json"
    entries = _read(info, dict, "the file of a BOP dataset that lists its models")
    objects = []
    for id in sorted(int(key) for key in entries if str(key).isdigit()):
        file = models / f"obj_{id:06d}.ply"
        if not file.is_file():
            raise StageError(f"{info} lists the model {id}, but {file} is missing. Complete the dataset.")
        objects.append(SourceObject(f"{base.name}_{id:06d}", (f"{id:06d}", str(id)), file, (info,)))
    return objects


def _bop_models(root: Path) -> tuple[Path, Path]:
    """The folder of models and that of the dataset; either may be named."""
    if (root / "models_info.json").is_file():
        return root, root.parent
    for name in ("models", "models_cad", "models_reconst", "models_eval"):
        if (root / name / "models_info.json").is_file():
            return root / name, root
    raise StageError(f"{root} has no models/models_info.json. Name the folder of a BOP dataset, or of its models.")


def _shapenet_objects(root: Path) -> list[SourceObject]:
    taxonomy = root / "taxonomy.json"
    entries = _read(taxonomy, list, "the file of ShapeNetCore.v2 that names its categories")
    names = {e["synsetId"]: e["name"].split(",")[0] for e in entries if isinstance(e, dict) and "synsetId" in e}
    objects = []
    for file in sorted(root.glob("*/*/models/model_normalized.obj")):
        synset, id = file.parts[-4], file.parts[-3]
        label = names.get(synset, synset)
        objects.append(SourceObject(f"{label}_{id}", (f"{synset}/{id}", synset, label), file, (taxonomy,)))
    if not objects:
        raise StageError(
            f"{root} has no model of ShapeNetCore.v2. Files SYNSET/ID/models/model_normalized.obj are expected."
        )
    return objects


def _pix3d_objects(root: Path) -> list[SourceObject]:
    listing = root / "pix3d.json"
    entries = _read(listing, list, "the file that lists Pix3D's models")
    objects = {}
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("model"), str):
            raise StageError(f"{listing} has an entry without a model. Complete it.")
        file = _resolve_inside(root, entry["model"])
        if file.is_file():
            parts = Path(entry["model"]).with_suffix("").parts
            name = "_".join(parts[1:] if parts[0] == "model" else parts)
            objects[file] = SourceObject(name, (entry["model"], str(entry.get("category", ""))), file, (listing,))
    return sorted(objects.values(), key=lambda o: o.name)


def _front3d_scene(root: Path, name: str) -> SourceScene:
    houses, models, textures = (root / part for part in ("3D-FRONT", "3D-FUTURE-model", "3D-FRONT-texture"))
    for part in (houses, models, textures):
        if not part.is_dir():
            raise StageError(f"{root} has no folder {part.name}. Put the three folders of 3D-FRONT into it.")
    file = _choose_scene(root, name, {p.stem: p for p in houses.glob("*.json")})
    content = _read(file, dict, "a house of 3D-FRONT")
    files = [file]
    try:
        used = {mesh["material"] for mesh in content["mesh"] if "material" in mesh}
        urls = [m[k] for m in content["material"] if m["uid"] in used for k in ("texture", "normaltexture") if m[k]]
        placed = {child["ref"] for room in content["scene"]["room"] for child in room["children"]}
        furniture = [piece["jid"] for piece in content["furniture"] if piece["uid"] in placed]
        hashes = [url.split("/")[-2] for url in urls]
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise StageError(f"{file} is not a valid house of 3D-FRONT ({error!r}). Download it again.") from error
    for code in dict.fromkeys(hashes):
        pictures = sorted(p for p in _resolve_inside(textures, code).glob("*") if p.is_file())
        if len(pictures) != 1:
            # The loader would download it and write it into the dataset.
            raise StageError(f"{textures / code} does not hold the one texture that {file.name} uses. Complete it.")
        files += pictures
    for jid in dict.fromkeys(furniture):
        model = _resolve_inside(models, jid) / "raw_model.obj"
        if model.is_file():
            files += [*model_files(model), *(p for p in [model.with_name("texture.png")] if p.is_file())]
    return SourceScene(file.stem, {"house": file, "models": models, "textures": textures}, tuple(dict.fromkeys(files)))


def _replica_scene(root: Path, name: str) -> SourceScene:
    folder = _choose_scene(
        root,
        name,
        {p.parent.name: p.parent for p in root.glob("*/mesh.ply")}
        | {p.parents[1].name: p.parents[1] for p in root.glob("*/habitat/mesh_semantic.ply")},
    )
    segmented = [folder / "habitat" / part for part in ("mesh_semantic.ply", "info_semantic.json")]
    if all(part.is_file() for part in segmented):
        return SourceScene(folder.name, {"folder": folder, "segmented": segmented[0]}, tuple(segmented))
    return SourceScene(folder.name, {"folder": folder}, (folder / "mesh.ply",))


def _matterport_scene(root: Path, name: str) -> SourceScene:
    houses = {p.parts[len(root.parts)] if p.parent != root else p.stem: p for p in root.glob("**/*.obj")}
    file = _choose_scene(root, name, houses)
    return SourceScene(name or next(iter(houses)), {"file": file}, tuple(model_files(file)))


def _bop_scene(root: Path, name: str) -> SourceScene:
    models, base = _bop_models(root)
    scenes = {f"{p.parents[1].name}/{p.parent.name}": p.parent for p in base.glob("*/*/scene_gt.json")}
    short = [key for key in scenes if name and key.partition("/")[2].lstrip("0") == name.lstrip("0")]
    folder = _choose_scene(root, short[0] if len(short) == 1 else name, scenes)
    poses, cameras = folder / "scene_gt.json", folder / "scene_camera.json"
    content = _read(poses, dict, "the poses of a scene of BOP")
    _read(cameras, dict, "the cameras of a scene of BOP")
    if not content:
        raise StageError(f"{poses} has no image. Choose another scene.")
    by_id = {int(o.labels[1]): o for o in _bop_objects(root)}
    try:
        used = {int(thing["obj_id"]) for thing in next(iter(content.values()))}
    except (KeyError, TypeError, ValueError) as error:
        raise StageError(f"{poses} is not a valid file of BOP poses ({error!r}). Download it again.") from error
    missing = sorted(used - by_id.keys())
    if missing:
        raise StageError(f"{poses} uses the model {missing[0]}, which is not in {models}. Complete the dataset.")
    sizes = [p for p in [base / "camera.json"] if p.is_file()]
    files = [poses, cameras, *sizes, *(f for id in sorted(used) for f in by_id[id].files())]
    key = f"{folder.parent.name}/{folder.name}"
    return SourceScene(key, {"models": models, "base": base, "folder": folder}, tuple(dict.fromkeys(files)))


def _choose_scene(root: Path, name: str, known: Mapping[str, Path]) -> Path:
    """The scene with this name, or the only one."""
    if name in known:
        return known[name]
    if not name and len(known) == 1:
        return next(iter(known.values()))
    shown = sorted(known)[:_MAX_LISTED]
    if name:
        raise StageError(unknown(f"[scene] scene: the dataset {root} has no scene", name, shown))
    if not known:
        raise StageError(f"[scene] dataset: {root} has no scene for this loader. Check the folder and the loader.")
    more = f" and {len(known) - _MAX_LISTED} more" if len(known) > _MAX_LISTED else ""
    raise StageError(f"The dataset {root} has several scenes. Set [scene] scene to one of {', '.join(shown)}{more}.")


_OBJECTS: dict[str, Callable[[Path], list[SourceObject]]] = {
    "bop": _bop_objects,
    "shapenet": _shapenet_objects,
    "pix3d": _pix3d_objects,
}
_SCENES: dict[str, Callable[[Path, str], SourceScene]] = {
    "front3d": _front3d_scene,
    "replica": _replica_scene,
    "matterport3d": _matterport_scene,
    "bop": _bop_scene,
}
