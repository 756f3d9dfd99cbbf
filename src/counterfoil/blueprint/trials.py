"""Which orders are sent to be tried on at home, for how long, and what of them is charged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from counterfoil.blueprint.problems import Problem
from counterfoil.blueprint.values import A_DURATION, Name, Part, Wait, each_once, format_duration
from counterfoil.blueprint.yamlread import Source
from counterfoil.retail.order import LineKind, Order

if TYPE_CHECKING:
    from counterfoil.blueprint.check import Draft

SECTION = "trials"
DECIDED, SETTLED, OVERDUE = "trial.decided", "trial.settled", "trial.overdue"
_ASK = "hub.ask"


class Trials(Part):
    """How a trial is known, and how it ends. `within` counts from when the last of its goods left."""

    methods: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description="a list of payment methods of the shop, such as [try_at_home]"
    )
    field: Name | None = Field(
        default=None, description="a field of orders that mappings read as extra, such as trial: true in a trial"
    )
    within: Wait = Field(default=timedelta(days=7), description=f"{A_DURATION}: so long after they left")
    when_over: Literal["ask", "charge"] = Field(default="ask", description="one of ask, charge")
    shipping: Literal["always", "if_kept", "never"] = Field(
        default="if_kept", description="one of always, if_kept, never"
    )
    most: int | None = Field(default=None, strict=True, ge=1, le=1000, description="a whole number of units a trial")
    never: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description="a list of SKUs that are not sent on trial, * for any part, such as [RX-*]"
    )

    @property
    def declared(self) -> bool:
        """Whether any order can be a trial."""
        return bool(self.methods or self.field)

    def fits(self, order: Order) -> bool:
        """Whether the shop sends this order on trial."""
        flag = order.extra.get(self.field) if self.field else None
        return flag not in (None, False, 0, "", "0", "no", "false") or any(
            payment.method in self.methods for payment in order.payments
        )

    def refused(self, order: Order) -> str:
        """Why it may not be one, in words; empty if it may."""
        goods = [line for line in order.lines if line.kind is LineKind.PRODUCT]
        barred = sorted({each.sku for each in goods if any(fnmatchcase(each.sku, skus) for skus in self.never)})
        if barred:
            return f"{', '.join(barred)} is not sent on trial"
        units = sum(line.quantity for line in goods)
        return f"{units:f} units are more than {self.most}" if self.most is not None and units > self.most else ""


def problems(draft: Draft, source: Source) -> Iterator[Problem]:
    """A trial needs somebody who does what was decided."""
    rules = draft.trials
    if rules is None or not rules.declared:
        return
    there = {(flow.on, flow.do if flow.do == _ASK else flow.operation) for flow in draft.flows.values()}
    needed = [
        (SETTLED, "settle_trial", "else nothing that is kept is invoiced"),
        ("shipment.returned", "settle_trial", "else what came back stays on the order, to be invoiced"),
        ("return.requested", "prepare_return", "else the ERP does not wait for what is sent back"),
        (OVERDUE, _ASK, "else nobody is asked when a trial cannot be settled by itself"),
    ]
    for event, operation, hint in needed:
        if (event, operation) not in there:
            name = operation if operation == _ASK else f"<the ERP>.{operation}"
            yield source.problem((SECTION,), f"a flow {{on: {event}, do: {name}}}", "none", hint)


def trials_in_words(rules: Trials) -> list[str]:
    """For people; nothing where nothing is sent on trial."""
    if not rules.declared:
        return []
    known = [f"paid by {', '.join(rules.methods)}"] if rules.methods else []
    known += [f"with {rules.field}"] if rules.field else []
    over = "what is not decided then counts as kept" if rules.when_over == "charge" else "a person is asked then"
    shipping = {
        "always": "shipping is charged",
        "if_kept": "shipping is charged if something is kept",
        "never": "shipping is not charged",
    }[rules.shipping]
    most = f" At most {rules.most} units a trial." if rules.most is not None else ""
    never = f" Never {', '.join(rules.never)}." if rules.never else ""
    return [
        f"Orders {' or '.join(known)} are sent on trial: the customer decides within {format_duration(rules.within)} "
        f"after the last goods left; {over}. Only what is kept is charged; {shipping}.{most}{never}"
    ]
