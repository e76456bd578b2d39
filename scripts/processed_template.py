"""Prints the template as SAM hands it to CloudFormation, with the roles that it makes."""

from pathlib import Path

from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse


class NoManagedPolicies:
    """Where SAM would look up policies that are named; the template names none."""

    def load(self) -> dict[str, str]:
        """Return none."""
        return {}


template = yaml_parse(Path("template.yaml").read_text(encoding="utf-8"))
sam = SamTemplateValidator(template, NoManagedPolicies(), region="us-east-1")
print(sam.get_translated_template_if_valid())
