"""The blueprint: one YAML file that declares systems, owners, flows and timings, checked before anything runs."""

from counterfoil.blueprint.catalogue import Catalogue, ConnectorInfo, OperationInfo, SettingInfo
from counterfoil.blueprint.load import Examined, examine, examine_text, load, parse
from counterfoil.blueprint.model import (
    HUB_ASK,
    Blueprint,
    Channel,
    CustomerRules,
    ExceptionOwners,
    Flow,
    OrderChoices,
    PaymentRow,
    Rate,
    Secret,
    SecretMissing,
    System,
    TaxRow,
    format_duration,
    parse_duration,
    parse_rate,
)
from counterfoil.blueprint.problems import BlueprintError, Problem
from counterfoil.blueprint.render import dump, render

__all__ = [
    "HUB_ASK",
    "Blueprint",
    "BlueprintError",
    "Catalogue",
    "Channel",
    "ConnectorInfo",
    "CustomerRules",
    "Examined",
    "ExceptionOwners",
    "Flow",
    "OperationInfo",
    "OrderChoices",
    "PaymentRow",
    "Problem",
    "Rate",
    "Secret",
    "SecretMissing",
    "SettingInfo",
    "System",
    "TaxRow",
    "dump",
    "examine",
    "examine_text",
    "format_duration",
    "load",
    "parse",
    "parse_duration",
    "parse_rate",
    "render",
]
