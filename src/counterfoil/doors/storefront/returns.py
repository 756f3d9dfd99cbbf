"""Returns by the storefront: what of an order may still be sent back, asking for it, and what became of it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from counterfoil.doors import assembly
from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.models import Key, Text
from counterfoil.doors.storefront.orders import NO_SUCH_ORDER, Named, named, seeking
from counterfoil.doors.storefront.problems import KEY_TAKEN, Kind, documented
from counterfoil.doors.storefront.tokens import Caller, needs
from counterfoil.processes import returning
from counterfoil.processes.returning import Standing
from counterfoil.processes.returns import Request

OFF = Kind("returns_off", 404, "No returns are taken here", "Ask the shop how to return goods.")
TOO_MANY = Kind("not_returnable", 409, "This may not be returned", "Ask for at most what `returnable` says.")
REASON = Kind("unknown_reason", 422, "The reason is none that is declared", "Use one of `reasons`.")

Units = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,3})?$")]


class ReturnAsked(Named):
    """What of an order a customer wants to send back."""

    lines: dict[Text, Units] = Field(min_length=1, max_length=200, description="units by the id of the line")
    reason: Text = Field(description="one of the codes that the blueprint declares")


class Returned(BaseModel):
    """A request. `prepared`: the ERP waits for the goods; `received`: they are back; `given_up`: nothing more."""

    id: str
    state: Literal["requested", "prepared", "received", "given_up"]
    asked_at: datetime
    reason: str
    lines: dict[str, str]
    numbers: list[str] = Field(description="the ERP's numbers of the returns, to be written on the parcel")


class Returns(BaseModel):
    """What of an order may be asked for still, by line, and what was asked for. `erp_reachable` false: requests are
    taken and told the ERP later."""

    number: str
    returnable: dict[str, str]
    reasons: list[str]
    requests: list[Returned]
    erp_reachable: bool


def routes(context: Context) -> APIRouter:
    """The routes of this concept."""
    router = APIRouter(tags=["returns"])
    desk = assembly.returning(context.store, context.blueprint)
    reasons = list(context.blueprint.returns.reasons)

    @router.post("/returns", responses=documented(OFF, NO_SUCH_ORDER, TOO_MANY, KEY_TAKEN, REASON))
    async def request_return(asked: ReturnAsked, caller: Annotated[Caller, needs("returns")], key: Key) -> Returned:
        """Ask to send shipped units back. The same key and request again is the same request."""
        if asked.reason not in reasons:
            raise REASON.problem("The reason is not declared.", reasons=reasons)
        who = await named(context, caller, asked)
        lines = {line: Decimal(units).normalize() for line, units in asked.lines.items() if Decimal(units)}
        try:
            with seeking(context, caller):
                request, standing = await desk.request(caller.channel, *who, lines, asked.reason, key)
        except returning.NotTaken:
            raise OFF.problem("The blueprint takes no requests, or has no flow on return.requested.") from None
        except returning.AnotherRequest:
            raise KEY_TAKEN.problem("It came with other lines or another reason before.") from None
        except returning.TooMany as left:
            told = {line: f"{units:f}" for line, units in left.left.items()}
            raise TOO_MANY.problem("Not all of it was shipped in time and is not back.", returnable=told) from None
        state = next((state for each, state in standing.requests if each.id == request.id), "requested")
        return _told(request, state)

    @router.post("/returns/status", responses=documented(NO_SUCH_ORDER))
    async def return_status(asked: Named, caller: Annotated[Caller, needs("returns")]) -> Returns:
        """What of an order may be returned, and how its returns stand."""
        who = await named(context, caller, asked)
        with seeking(context, caller):
            standing: Standing = await desk.of_customer(caller.channel, *who)
        return Returns(
            number=standing.found.order.number,
            returnable={line: f"{units:f}" for line, units in standing.left.items()} if desk.taken else {},
            reasons=reasons if desk.taken else [],
            requests=[_told(request, state) for request, state in standing.requests],
            erp_reachable=await context.erp_reachable("prepare_return"),
        )

    return router


def _told(request: Request, state: str) -> Returned:
    return Returned(
        id=request.id,
        state=state,  # type: ignore[arg-type]
        asked_at=request.asked_at,
        reason=request.reason,
        lines={line: f"{units:f}" for line, units in request.lines.items()},
        numbers=list(request.pickings),
    )
