"""Evaluate CloudFormation's functions (`Ref`, `Fn::Sub`, `Fn::If` ...) in part of a template."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scrip_cli.errors import CommandError

_PLACEHOLDER = re.compile(r"\$\{([^!}][^}]*)\}")


@dataclass(frozen=True)
class Intrinsics:
    """The values that the functions look up.

    `names` has the value of each parameter, pseudo parameter and resource (`Table`), and of known
    attributes (`Consume.Arn`). `conditions` is the template's section of that name.
    """

    names: Mapping[str, Any]
    conditions: Mapping[str, Any]

    def resolve(self, node: Any) -> Any:
        """Replace every function in a node with its value; AWS::NoValue is dropped.

        Raises CommandError for an unknown function or name.
        """
        if isinstance(node, list):
            return [item for item in map(self.resolve, node) if item is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name in {"Ref", "Condition"} or name.startswith("Fn::"):
                return self._call(name, argument)
        resolved = {key: self.resolve(value) for key, value in node.items()}
        return {key: value for key, value in resolved.items() if value is not None}

    def _call(self, name: str, argument: Any) -> Any:  # noqa: C901, PLR0911, PLR0912  one line per function
        match name, argument:
            case "Ref", str():
                return self._look_up(argument)
            case "Fn::GetAtt", [*path]:
                return self._look_up(".".join(path))
            case "Fn::Sub", str():
                return self._substitute(argument, {})
            case "Fn::Sub", [text, variables]:
                return self._substitute(text, self.resolve(variables))
            case "Fn::Join", [separator, parts]:
                return separator.join(self.resolve(parts))
            case "Fn::Split", [separator, text]:
                return self.resolve(text).split(separator)
            case "Fn::Select", [index, parts]:
                return self.resolve(parts)[index]
            case "Fn::If", [condition, then, otherwise]:
                return self.resolve(then if self._holds(condition) else otherwise)
            case "Fn::Equals", [left, right]:
                return self.resolve(left) == self.resolve(right)
            case "Fn::Not", [operand]:
                return not self.resolve(operand)
            case "Fn::And", [*operands]:
                return all(map(self.resolve, operands))
            case "Fn::Or", [*operands]:
                return any(map(self.resolve, operands))
            case "Condition", str():
                return self._holds(argument)
        raise _unknown(name)

    def _look_up(self, name: str) -> Any:
        try:
            return self.names[name]
        except KeyError as exc:
            raise _unknown(name) from exc

    def _holds(self, condition: str) -> bool:
        return bool(self.resolve(self.conditions[condition]))

    def _substitute(self, text: str, variables: Mapping[str, Any]) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1]
            return str(variables[name] if name in variables else self._look_up(name))

        return _PLACEHOLDER.sub(value, text).replace("${!", "${")


def _unknown(name: str) -> CommandError:
    return CommandError(
        f"The API's definition in template.yaml uses {name}, which is not supported locally.",
        "Add it to scrip_cli/local/intrinsics.py, or write the template without it.",
    )
