"""Trying on at home by the storefront: how a trial stands, and what of it is kept and what goes back."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from counterfoil.doors import assembly
from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.models import Fresh, Key, Price, Text
from counterfoil.doors.storefront.orders import NO_SUCH_ORDER, Named, fresh, named, seeking
from counterfoil.doors.storefront.problems import KEY_TAKEN, Kind, documented
from counterfoil.doors.storefront.returns import Units
from counterfoil.doors.storefront.tokens import Caller, needs
from counterfoil.processes import returning, trying
from counterfoil.processes.trying import Standing
from counterfoil.retail.order import LineKind

NO_TRIAL = Kind("no_trial", 404, "The order is not on trial", "Declare in the blueprint's trials which orders are.")
NOT_OUT = Kind("not_undecided", 409, "Not so much is undecided", "Decide of at most what `undecided` says.")
OVER = Kind("trial_over", 409, "The trial is over", "Nothing is left to decide; ask the shop for a return instead.")

State = Literal["open", "asked", "settled", "closed"]


class Decided(Named):
    """What a customer keeps, and what goes back: units by the id of the line. The rest stays undecided."""

    keep: dict[Text, Units] = Field(default={}, max_length=200)
    send_back: dict[Text, Units] = Field(default={}, max_length=200)


class TriedLine(BaseModel):
    """A line of the order. `out` is what was shipped: kept + returning + returned + undecided."""

    line: str
    sku: str
    name: str
    out: Decimal
    kept: Decimal
    returning: Decimal = Field(description="on its way back, or said to be")
    returned: Decimal
    undecided: Decimal


class Trial(Fresh):
    """How a trial stands. `asked`: a person of the shop was asked how it ends; `closed`: nothing of it is charged.

    `erp_reachable` is false while the ERP is out of reach: what is decided is taken, and told it later.
    """

    number: str
    state: State
    until: datetime | None = Field(description="until when is decided; null: not all of it was shipped yet, or none")
    lines: list[TriedLine]
    to_charge: Price = Field(description="what is charged or, before it is settled, would be for what is kept by now")
    charged: bool = Field(description="whether that is final, and told to whoever charges it")
    erp_reachable: bool


def routes(context: Context) -> APIRouter:
    """The routes of this concept."""
    router = APIRouter(tags=["trials"])
    desk = assembly.trying(context.store, context.blueprint)

    @router.post("/trials/status", responses=documented(NO_SUCH_ORDER, NO_TRIAL))
    async def trial_status(asked: Named, caller: Annotated[Caller, needs("trials")]) -> Trial:
        """How a trial stands: what is out, kept, on its way back and returned, and what is charged."""
        who = await named(context, caller, asked)
        try:
            with seeking(context, caller):
                standing = await desk.of_customer(caller.channel, *who)
        except trying.NoTrial:
            raise _none() from None
        return await _told(context, standing)

    @router.post("/trials/decide", responses=documented(NO_SUCH_ORDER, NO_TRIAL, NOT_OUT, OVER, KEY_TAKEN))
    async def decide_trial(asked: Decided, caller: Annotated[Caller, needs("trials")], key: Key) -> Trial:
        """Keep these units, send those back: all of it or nothing, and in parts if wanted. The same key and decision
        again changes nothing."""
        who = await named(context, caller, asked)
        keep, send_back = _units(asked.keep), _units(asked.send_back)
        try:
            with seeking(context, caller):
                standing = await desk.decide(caller.channel, *who, keep, send_back, key)
        except trying.NoTrial:
            raise _none() from None
        except returning.AnotherRequest:
            raise KEY_TAKEN.problem("It came with another decision before.") from None
        except trying.Over:
            raise OVER.problem("Its time is over, or all of it was decided.") from None
        except returning.TooMany as left:
            told = {line: f"{units:f}" for line, units in left.left.items()}
            raise NOT_OUT.problem("Not all of it was shipped and is undecided.", undecided=told) from None
        return await _told(context, standing)

    return router


def _none() -> Exception:
    return NO_TRIAL.problem("It is an order like any other.")


def _units(asked: dict[str, str]) -> dict[str, Decimal]:
    return {line: Decimal(units).normalize() for line, units in asked.items() if Decimal(units)}


async def _told(context: Context, standing: Standing) -> Trial:
    async with context.store.read() as connection:
        as_of = await fresh(context, connection)
    lines = [
        TriedLine(
            line=line.id,
            sku=line.sku,
            name=line.name,
            **{name: getattr(each, name) for name in ("out", "kept", "returning", "returned", "undecided")},
        )
        for line in standing.order.lines
        if line.kind is LineKind.PRODUCT and (each := standing.lines.get(line.id)) is not None
    ]
    charge = standing.settled or standing.due
    return Trial(
        number=standing.order.number,
        state=standing.row.state,  # type: ignore[arg-type]
        until=standing.until,
        lines=lines,
        to_charge=Price.of(charge.amount),
        charged=standing.settled is not None,
        erp_reachable=await context.erp_reachable("settle_trial"),
        **as_of.said(),
    )
