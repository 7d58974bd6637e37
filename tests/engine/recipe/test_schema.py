# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON schema of recipes, and their reference page."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
from twinset.engine.plugin import KINDS
from twinset.engine.plugin.params import describe
from twinset.engine.plugin.registry import find
from twinset.engine.recipe.reading import dump_recipe, json_schema, loads_recipe
from twinset.engine.recipe.reference_page import recipe_reference

SMALL = """
[scene]
builtin = "hall"

[[class]]
name = "chair"
builtin = "chair"
"""


def test_the_schema_takes_what_is_written_and_refuses_typos(tmp_path: Path) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    (tmp_path / "real.json").write_text("{}")
    text = SMALL + '[real]\nannotations = "real.json"\n[target]\nplugin = "bbox_area_gmm"\n'
    text += '[[placement]]\nplugin = "on_surface"\nsurfaces = ["Floor"]\n[[camera]]\nplugin = "close_up"\nweight = 2\n'
    for source in (SMALL, text):
        data = tomllib.loads(dump_recipe(loads_recipe(source, tmp_path, "r.toml")))
        validator.validate(data)
        for table, key, value in [("render", "samples", 0), ("render", "sample", 1), ("output", "format", "gif")]:
            assert not validator.is_valid(data | {table: data[table] | {key: value}})
        assert not validator.is_valid(data | {"classes": []})
        assert not validator.is_valid(data | {"camera": [{"plugin": "framd"}]})
        assert not validator.is_valid(data | {"camera": [{"plugin": "orbit", "weight": 0}]})
        assert not validator.is_valid(data | {"seed": -1})
    json.dumps(schema)


def test_the_schema_knows_every_plugin() -> None:
    schema = json_schema()
    for kind in KINDS:
        part = schema["properties"][kind]
        options = (part if kind == "target" else part["items"])["oneOf"]
        for option in options:
            cls = find(kind, option["properties"]["plugin"]["const"])
            assert {p.name for p in describe(cls)} <= set(option["properties"])


def test_the_reference_page_is_the_declarations(root: Path) -> None:
    page = (root / "docs" / "recipes" / "reference.md").read_text(encoding="utf-8")
    assert page == recipe_reference(), "regenerate it: twinset schema --markdown > docs/recipes/reference.md"


def test_the_recipe_of_the_reference_page_loads(tmp_path: Path) -> None:
    block = recipe_reference().split("```toml\n")[1].split("```")[0]
    assert loads_recipe(block, tmp_path, "r.toml").classes[0].name == "chair"
