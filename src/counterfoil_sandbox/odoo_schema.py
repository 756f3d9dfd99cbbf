"""What the Odoo stand-in's models look like, what errors Odoo words how, and the hooks that make models do things.

Fields, labels, selections and orders come from `recordings/odoo/fields*_19.json` (answers of a real Odoo 19), so a
field that is not there is refused as the real server refuses it. What a model *does* (defaults, totals, states) is
registered in the tables of hooks below by the modules of its concept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from counterfoil_sandbox.odoo_store import Store

Row = dict[str, Any]
Predicate = Callable[[Row], bool]

RECORDINGS = Path(__file__).parent / "recordings" / "odoo"
SCHEMA: dict[str, dict[str, Any]] = {}
for _file in sorted(RECORDINGS.glob("fields*_19.json")):
    for _model, _spec in json.loads(_file.read_text()).items():
        SCHEMA.setdefault(_model, {**_spec, "fields": {}})["fields"].update(_spec["fields"])

# Hooks, by model: filled by the modules of the concepts.
BEFORE_CREATE: dict[str, Callable[[Store, Row], None]] = {}  # completes the values given with defaults
BEFORE_WRITE: dict[str, Callable[[Store, list[int], Row], None]] = {}  # refuses, or completes what is written
AFTER_SAVE: dict[str, Callable[[Store, Row, set[str]], None]] = {}  # after create or write of these fields
BEFORE_UNLINK: dict[str, Callable[[Store, list[int]], None]] = {}
COMPUTED: dict[tuple[str, str], Callable[[Store, Row], Any]] = {}
HIDDEN: dict[
    str, tuple[tuple[str, ...], tuple[str, str, Any]]
] = {}  # fields that must be asked for, or else this holds
NAME_FIELDS: dict[str, tuple[str, ...]] = {}  # what name_search looks at, beside the display name
CASCADE = {("sale.order.line", "order_id"), ("product.product", "product_tmpl_id")}  # children that go with it
DIGITS = {"product_uom_qty": 2, "discount": 2, "amount": 4}  # decimals a float is cut to; unit prices are not in 19

EMPTY = {"integer": 0, "float": 0.0, "monetary": 0.0, "boolean": False}
MAGIC = ("id", "create_uid", "create_date", "write_uid", "write_date")


class OdooError(Exception):
    """What Odoo answers instead of a result.

    status: of the HTTP answer. name: Python name of the exception. plain, field: the message as `load` words it
    and the field it names, where these differ from the HTTP answer.
    """

    def __init__(self, status: int, name: str, message: str, *, plain: str = "", field: str = "") -> None:
        super().__init__(message)
        self.status, self.name, self.message = status, name, message
        self.plain, self.field = plain or message, field

    @property
    def arguments(self) -> list[Any]:
        """As in the answer's body: HTTP errors carry their status too."""
        return [self.message, self.status] if self.name.startswith("werkzeug") else [self.message]


def value_error(message: str) -> OdooError:
    """A programming error on the caller's side: 500."""
    return OdooError(500, "builtins.ValueError", message)


def user_error(message: str) -> OdooError:
    """A business rule said no: 422."""
    return OdooError(422, "odoo.exceptions.UserError", message)


def validation_error(message: str) -> OdooError:
    """A constraint said no: 422."""
    return OdooError(422, "odoo.exceptions.ValidationError", message)


def database_error(detail: str, field: str = "") -> OdooError:
    """A constraint of the database said no: 422; `load` shows the bare detail."""
    message = f"The operation cannot be completed: {detail}"
    return OdooError(422, "odoo.exceptions.ValidationError", message, plain=detail, field=field)


def missing_error(model: str, record_id: Any) -> OdooError:
    """The record is gone: 404."""
    message = f"Record does not exist or has been deleted.\n(Record: {model}({record_id},), User: 2)"
    return OdooError(404, "odoo.exceptions.MissingError", message)


def rounded(value: float, step: float) -> float:
    """`value` to the nearest multiple of `step`, halves away from zero, forgiving the last bits of a float."""
    if not value or not step:
        return 0.0
    scale = round(1 / step) if step < 1 else 1 / step
    scaled = value * scale
    return round(scaled + math.copysign(abs(scaled) * 2**-50, scaled)) / scale


def required_error(model: str, name: str, label: str, model_label: str) -> OdooError:
    """A mandatory field is empty: worded by Odoo for the HTTP answer and, shorter, for `load`."""
    error = database_error(
        f"Missing required value for the field '{label}' ({name}).\nModel: '{model_label}' ({model})\n"
        "- create/update: a mandatory field is not set\n"
        "- delete: another model requires the record being deleted, you can archive it instead\n",
        name,
    )
    error.model = model  # type: ignore[attr-defined]
    return error


def still_used(model: str, name: str) -> str:
    """Odoo's words for a broken foreign key, also when nothing was deleted."""
    label, model_label = SCHEMA[model]["fields"][name]["string"], SCHEMA[model]["name"]
    return (
        "Another model is using the record you are trying to delete.\n\n"
        f"The troublemaker is: '{model_label}' ({model})\n"
        f"Thanks to the following constraint: '{label}' ({name})\n"
        "How about archiving the record instead?"
    )


def parse_time(value: Any, kind: str) -> str:
    """A date or time in Odoo's own format, nothing else; raises ValueError."""
    text = str(value)
    if kind == "date":
        return datetime.strptime(text[:10], "%Y-%m-%d").replace(tzinfo=UTC).strftime("%Y-%m-%d")
    shape = "%Y-%m-%d %H:%M:%S" if len(text) > 10 else "%Y-%m-%d"
    return datetime.strptime(text[:19], shape).replace(tzinfo=UTC).strftime("%Y-%m-%d %H:%M:%S")
