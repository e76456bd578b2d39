"""Prints the template as SAM passes it to CloudFormation, including the roles that it creates.

Arguments are values of parameters, such as `Stage=prod`; the others have their defaults.
"""

import sys
from pathlib import Path

from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse


class NoManagedPolicies:
    """SAM's lookup of named managed policies; the template has none."""

    def load(self) -> dict[str, str]:
        """Return no policies."""
        return {}


template = yaml_parse(Path("template.yaml").read_text(encoding="utf-8"))
given = dict(argument.split("=", 1) for argument in sys.argv[1:])
sam = SamTemplateValidator(template, NoManagedPolicies(), None, "us-east-1", given)
print(sam.get_translated_template_if_valid())
