"""Prescriptions by the storefront: attached to the lines of an order that need one, and how they stand.

The address of a request holds nothing personal, so asking is a POST too. What a prescription says is never answered.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from counterfoil.doors import assembly
from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.models import Text
from counterfoil.doors.storefront.orders import NO_SUCH_ORDER, Named, named, seeking
from counterfoil.doors.storefront.problems import Kind, documented
from counterfoil.doors.storefront.tokens import Caller, needs
from counterfoil.hub.storefront.prescriptions import Record
from counterfoil.hub.storefront.vault import BadKey
from counterfoil.processes import prescribing
from counterfoil.processes.prescribing import Standing
from counterfoil.processes.prescriptions import MISSING, expected
from counterfoil.processes.withholding import ATTACH
from counterfoil.retail.events import at_utc

OFF = Kind(
    "prescriptions_off", 404, "Nothing is sold on a prescription", "Declare it in the blueprint's prescriptions."
)
NOT_NEEDED = Kind(
    "prescription_not_needed", 409, "The order needs no prescription", "Attach it to the lines that need one, or none."
)
ALREADY = Kind("prescription_released", 409, "A prescription is released already", "Nothing is left to do.")
WRONG = Kind("prescription_wrong", 422, "The prescription is not as it must be", "Correct what `errors` names.")
NO_KEY = Kind(
    "prescriptions_closed",
    503,
    "Prescriptions cannot be taken now",
    "The hub has no key to seal them with; its operator gives one. Send the same again then.",
    {"Retry-After": "300"},
)

Base64 = Annotated[str, StringConstraints(max_length=5_400_000)]
Value = Text | Annotated[float, Field(strict=True)]


class PrescriptionAsked(Named):
    """A prescription for lines of an order."""

    lines: list[Text] = Field(default=[], max_length=200, description="ids of lines; none: all that still need one")
    fields: dict[Text, Value] = Field(default={}, max_length=100, description="what the blueprint declares, by name")
    file: Base64 = Field(default="", description="the document in base64: PDF, JPEG or PNG, told by its content")


class Taken(BaseModel):
    """A prescription that is there."""

    id: str
    state: Literal["to_release", "released", "rejected", "replaced"]
    lines: list[str]


class LineStands(BaseModel):
    """A line that is only sold on a prescription, and how it stands."""

    line: str
    sku: str
    name: str
    state: Literal["missing", "to_release", "released", "rejected"]
    reason: str = Field(description="the code of a rejection; else empty")
    attached_at: datetime | None


class OrderStands(BaseModel):
    """How an order stands that has what is sold on a prescription. `waits`: it goes no further until all are released.

    `erp_reachable` is false while the ERP is out of reach: what is attached is taken, and told it later.
    """

    number: str
    waits: bool
    lines: list[LineStands]
    erp_reachable: bool
    as_of: datetime


class FieldAsked(BaseModel):
    """A field of a prescription: what is expected in it."""

    type: Literal["number", "integer", "date", "text", "choice"]
    required: bool
    expected: str
    min: str | None
    max: str | None
    step: str | None
    choices: list[str]
    needs: str | None


class Form(BaseModel):
    """What a prescription must say, for a form to be made of."""

    fields: dict[str, FieldAsked]
    file: Literal["required", "optional", "none"]
    files: list[str]
    largest_file: int


def routes(context: Context) -> APIRouter:
    """The routes of this concept."""
    router = APIRouter(tags=["prescriptions"])
    desk = assembly.prescribing(context.store, context.blueprint)
    rules = context.blueprint.prescriptions

    @router.get("/prescriptions/form", responses=documented(OFF))
    async def prescription_form(_caller: Annotated[Caller, needs("prescriptions")]) -> Form:
        """What is asked for in a prescription."""
        if not rules.declared:
            raise OFF.problem("The blueprint declares nothing that is sold on a prescription.")
        fields = {
            name: FieldAsked(
                type=each.type,
                required=each.required,
                expected=expected(each),
                **{key: None if getattr(each, key) is None else f"{getattr(each, key):f}" for key in _NUMBERS},
                choices=list(each.choices),
                needs=each.needs,
            )
            for name, each in rules.fields.items()
        }
        return Form(fields=fields, file=rules.file, files=list(rules.files), largest_file=rules.largest_file)

    @router.post("/prescriptions", responses=documented(OFF, NO_SUCH_ORDER, NOT_NEEDED, ALREADY, WRONG, NO_KEY))
    async def attach_prescription(asked: PrescriptionAsked, caller: Annotated[Caller, needs("prescriptions")]) -> Taken:
        """Attach a prescription to the lines of an order that need one. The same again is the same prescription.

        It waits for a person to release it. It is kept sealed, and nothing of what it says is ever answered.
        """
        content = _decoded(asked.file)
        who = await named(context, caller, asked)
        try:
            with seeking(context, caller):
                record = await desk.attach(caller.channel, *who, asked.lines, asked.fields, content)
        except prescribing.NotDeclared:
            raise OFF.problem("The blueprint declares nothing that is sold on a prescription.") from None
        except prescribing.NotNeeded:
            raise NOT_NEEDED.problem("The order is not wanted any more, or these lines need none.") from None
        except prescribing.Released:
            raise ALREADY.problem("These lines have a released prescription.") from None
        except prescribing.Unfit as unfit:
            errors = [{"at": each.at, "expected": each.expected} for each in unfit.wrong]
            raise WRONG.problem(f"{len(errors)} thing(s) are not as they must be.", errors=errors) from None
        except (prescribing.NoKey, BadKey):
            raise NO_KEY.problem("Nothing was kept.") from None
        return Taken(id=record.id, state=record.state, lines=list(record.lines))  # type: ignore[arg-type]

    @router.post("/prescriptions/status", responses=documented(NO_SUCH_ORDER))
    async def prescription_status(asked: Named, caller: Annotated[Caller, needs("prescriptions")]) -> OrderStands:
        """How the lines of an order stand that are sold on a prescription."""
        who = await named(context, caller, asked)
        with seeking(context, caller):
            standing = await desk.of_customer(caller.channel, *who)
        return _told(standing, await context.erp_reachable(ATTACH))

    return router


_NUMBERS = ("min", "max", "step")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        errors = [{"at": "file", "expected": "base64 (RFC 4648)"}]
        raise WRONG.problem("The file cannot be read.", errors=errors) from None


def _told(standing: Standing, reachable: bool) -> OrderStands:
    lines = []
    for line in standing.lines:
        record: Record | None = standing.records[line.id]
        lines.append(
            LineStands(
                line=line.id,
                sku=line.sku,
                name=line.name,
                state=record.state if record else MISSING,  # type: ignore[arg-type]
                reason=record.reason if record else "",
                attached_at=at_utc(record.made_at) if record else None,
            )
        )
    return OrderStands(
        number=standing.order.number,
        waits=bool(standing.waits_for),
        lines=lines,
        erp_reachable=reachable,
        as_of=datetime.now(UTC),
    )
