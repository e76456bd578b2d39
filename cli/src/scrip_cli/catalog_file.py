"""The catalog as a file: plans and features by their ids, in YAML, as a person keeps them.

    plans:
      free: {name: Free, monthly_credits: 100}
    features:
      chat: {name: Chat, cost: 5}

An item is what the API's PUT takes, without `reason`: what is left out has its default. Versions
are not in it: they count edits.
"""

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from scrip.domain.catalog import Catalog
from scrip.http.admin_models import CatalogId, FeatureRequest, PlanRequest
from scrip.http.requests import feature_of, plan_of
from scrip_cli.local.errors import StackError


class PlanInFile(PlanRequest):
    """A plan as a file tells it; why it is edited is said when it is applied."""

    reason: None = None


class FeatureInFile(FeatureRequest):
    """A feature as a file tells it."""

    reason: None = None


class CatalogFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(strict=True, extra="forbid")

    plans: dict[CatalogId, PlanInFile] = {}
    features: dict[CatalogId, FeatureInFile] = {}


def read_catalog_file(path: Path) -> Catalog:
    """Return the catalog that a file describes, all versions being 1.

    Raises:
        StackError: it cannot be used; all that is wrong, each with its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        told = YAML(typ="safe", pure=True).load(text)
        file = CatalogFile.model_validate(told)
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
        raise _unusable(path, [f"{line}: {what}" for line, what in faults]) from exc
    return Catalog(
        plans={plan_id: plan_of(plan_id, body) for plan_id, body in file.plans.items()},
        features={id_: feature_of(id_, body) for id_, body in file.features.items()},
    )


def catalog_text(catalog: Catalog) -> str:
    """Return the file that describes a catalog; what has its default is left out."""
    file = CatalogFile.model_validate(
        {
            "plans": {plan_id: _told(plan, "plan_id") for plan_id, plan in catalog.plans.items()},
            "features": {id_: _told(one, "feature_id") for id_, one in catalog.features.items()},
        }
    )
    text = io.StringIO()
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(file.model_dump(exclude_defaults=True), text)
    return text.getvalue()


def _told(item: Any, id_name: str) -> dict[str, Any]:
    told = asdict(item)
    del told[id_name], told["version"]
    if "provider_ids" in told:
        told["provider_ids"] = list(told["provider_ids"])
    return told


def _fault(marked: Any, found: Any) -> tuple[int, str]:
    """Say in which line a value, or what it is missing in, begins, and what is wrong with it."""
    node, line = marked, 0
    for part in found["loc"]:
        match node:
            case CommentedMap() if part in node:
                # What was merged in (`<<`) stands elsewhere.
                line = node.lc.key(part)[0] if part in node.lc.data else line
            case CommentedSeq() if isinstance(part, int):
                line = node.lc.item(part)[0]
            case _:
                break
        node = node[part]
    where = ".".join(str(part) for part in found["loc"] if part != "[key]") or "the file"
    return line + 1, f"{where}: {found['msg']}"


def _unusable(path: Path, faults: list[str]) -> StackError:
    return StackError(
        f"{path} cannot be used; nothing was done.",
        "Correct it.",
        output="\n".join(f"{path}:{fault}" for fault in faults),
    )
