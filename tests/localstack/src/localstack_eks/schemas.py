"""CloudFormation's own schemas of resource types, from the cfn-lint that LocalStack depends on."""

import json
import runpy
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@cache
def _folder() -> Path:
    """Find the schemas without importing cfn-lint, which takes seconds."""
    spec = find_spec("cfnlint")
    if spec is None or not spec.submodule_search_locations:
        raise LookupError("cfn-lint is not installed")
    return Path(spec.submodule_search_locations[0]) / "data" / "schemas"


@cache
def _files() -> dict[str, str]:
    # Any region does: the types that are used here are the same in all.
    return runpy.run_path(str(_folder() / "providers" / "eu_west_1.py"))["types"]


@cache
def schema(type_name: str) -> dict[str, Any]:
    """Give the schema of a resource type."""
    name = _files().get(type_name)
    if name is None:
        raise LookupError(f"cfn-lint has no schema of `{type_name}`")
    return json.loads((_folder() / "resources" / f"{name}.json").read_text())
