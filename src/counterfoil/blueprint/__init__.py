"""The blueprint: one YAML file that declares systems, owners, flows and timings, checked before anything runs."""

from counterfoil.blueprint.catalogue import Catalogue, ConnectorInfo, OperationInfo, SettingInfo
from counterfoil.blueprint.identity import ArticleRules, CustomerRules
from counterfoil.blueprint.load import Examined, examine, examine_text, load, parse
from counterfoil.blueprint.model import (
    HUB_ASK,
    Blueprint,
    Channel,
    Flow,
    Limits,
    OrderChoices,
    PaymentRow,
    Pressure,
    Retention,
    System,
    TaxRow,
)
from counterfoil.blueprint.problems import BlueprintError, Problem
from counterfoil.blueprint.render import as_data, dump, render, render_page
from counterfoil.blueprint.responding import ExceptionOwners
from counterfoil.blueprint.values import Rate, Secret, SecretMissing, format_duration, parse_duration, parse_rate

__all__ = [
    "HUB_ASK",
    "ArticleRules",
    "Blueprint",
    "BlueprintError",
    "Catalogue",
    "Channel",
    "ConnectorInfo",
    "CustomerRules",
    "Examined",
    "ExceptionOwners",
    "Flow",
    "Limits",
    "OperationInfo",
    "OrderChoices",
    "PaymentRow",
    "Pressure",
    "Problem",
    "Rate",
    "Retention",
    "Secret",
    "SecretMissing",
    "SettingInfo",
    "System",
    "TaxRow",
    "as_data",
    "dump",
    "examine",
    "examine_text",
    "format_duration",
    "load",
    "parse",
    "parse_duration",
    "parse_rate",
    "render",
    "render_page",
]
