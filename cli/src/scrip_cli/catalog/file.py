"""The catalog as a file: plans and features by their IDs, in YAML.

    plans:
      free: {name: Free, monthly_credits: 100}
    features:
      chat: {name: Chat, cost: 5}

An item has the fields of the API's PUT, without `reason`; a missing field has its default. The file
has no versions, which count edits.
"""

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from scrip.domain.catalog import Catalog, CatalogItem
from scrip.http.admin_models import CatalogId, FeatureRequest, PlanRequest
from scrip.http.requests import feature_of, plan_of
from scrip_cli.errors import CommandError


class PlanInFile(PlanRequest):
    """A plan in a file. The reason for an edit is given when the file is applied."""

    reason: None = None


class FeatureInFile(FeatureRequest):
    """A feature in a file."""

    reason: None = None


class CatalogFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(strict=True, extra="forbid")

    plans: dict[CatalogId, PlanInFile] = {}
    features: dict[CatalogId, FeatureInFile] = {}


def read_catalog_file(path: Path) -> Catalog:
    """Return the catalog that a file describes; every version is 1.

    Raises:
        CommandError: the file has errors; lists them all with their lines.
    """
    try:
        text = path.read_text(encoding="utf-8")
        file = CatalogFile.model_validate(YAML(typ="safe", pure=True).load(text))
    except UnicodeDecodeError as exc:
        raise _unusable(path, ["it is not UTF-8"]) from exc
    except MarkedYAMLError as exc:
        line = f"{exc.problem_mark.line + 1}: " if exc.problem_mark else ""
        raise _unusable(path, [f"{line}{exc.problem}"]) from exc
    except YAMLError as exc:
        raise _unusable(path, [str(exc).splitlines()[0]]) from exc
    except RecursionError as exc:
        raise _unusable(path, ["it is nested too deep"]) from exc
    except ValidationError as exc:
        marked = YAML().load(text)
        faults = sorted(_fault(marked, found) for found in exc.errors())
        raise _unusable(path, [f"{line}: {fault}" for line, fault in faults]) from exc
    return Catalog(
        plans={plan_id: plan_of(plan_id, body) for plan_id, body in file.plans.items()},
        features={id_: feature_of(id_, body) for id_, body in file.features.items()},
    )


def catalog_text(catalog: Catalog) -> str:
    """Return the file that describes a catalog, without fields that have their default."""
    file = CatalogFile.model_validate(
        {
            "plans": {id_: _fields(plan, "plan_id") for id_, plan in catalog.plans.items()},
            "features": {
                id_: _fields(item, "feature_id") for id_, item in catalog.features.items()
            },
        }
    )
    text = io.StringIO()
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(file.model_dump(exclude_defaults=True), text)
    return text.getvalue()


def _fields(item: CatalogItem, id_name: str) -> dict[str, Any]:
    fields = asdict(item)
    del fields[id_name], fields["version"]
    if "provider_ids" in fields:
        fields["provider_ids"] = list(fields["provider_ids"])
    return fields


def _fault(marked: Any, found: Any) -> tuple[int, str]:
    """Return the line where a value, or the mapping that lacks it, begins, and what is wrong."""
    node, line = marked, 0
    for part in found["loc"]:
        match node:
            case CommentedMap() if part in node:
                # A key that was merged in (`<<`) has its line elsewhere.
                line = node.lc.key(part)[0] if part in node.lc.data else line
            case CommentedSeq() if isinstance(part, int):
                line = node.lc.item(part)[0]
            case _:
                break
        node = node[part]
    where = ".".join(str(part) for part in found["loc"] if part != "[key]") or "the file"
    return line + 1, f"{where}: {found['msg']}"


def _unusable(path: Path, faults: list[str]) -> CommandError:
    return CommandError(
        f"{path} has errors; nothing was done.",
        "Correct them.",
        output="\n".join(f"{path}:{fault}" for fault in faults),
    )
