"""The section `trials`: what it needs beside it, and how it is put into words."""

from __future__ import annotations

import pytest
from tests.conformance.making import order

from counterfoil.blueprint import BlueprintError, dump, parse, render
from counterfoil.blueprint.trials import Trials
from counterfoil.doors.assembly import catalogue

KNOWN = catalogue()
GOOD = """\
counterfoil: 1
systems: {odoo: {connector: odoo, url: http://127.0.0.1:9, database: d, login: hub, api_key: "${KEY}"}}
flows:
  - {on: return.requested, do: odoo.prepare_return}
  - {on: trial.settled, do: odoo.settle_trial}
  - {on: shipment.returned, do: odoo.settle_trial}
  - {on: trial.overdue, do: hub.ask}
trials: {methods: [try_at_home], within: 10d, when_over: charge, shipping: never, most: 4, never: [RX-*]}
"""


def test_it_is_read_written_and_put_into_words() -> None:
    plan = parse(GOOD, known=KNOWN, environ={"KEY": "x"})
    assert parse(dump(plan), known=KNOWN, environ={"KEY": "x"}) == plan
    words = render(plan)
    assert "Orders paid by try_at_home are sent on trial: the customer decides within 10d" in words
    assert "what is not decided then counts as kept" in words
    assert "shipping is not charged. At most 4 units a trial. Never RX-" in words


@pytest.mark.parametrize("row", [line for line in GOOD.splitlines() if line.startswith("  - ")])
def test_a_trial_needs_somebody_who_does_what_was_decided(row: str) -> None:
    with pytest.raises(BlueprintError) as wrong:
        parse(GOOD.replace(f"{row}\n", ""), known=KNOWN, environ={"KEY": "x"})
    [problem] = wrong.value.problems
    event = row.partition("on: ")[2].partition(",")[0]
    assert (problem.path, event in problem.expected) == ("trials", True)


@pytest.mark.parametrize(("flag", "is_one"), [(True, True), ("yes", True), (1, True), ("no", False), (False, False)])
def test_an_order_is_one_by_its_method_or_a_field_of_its_own(flag: bool | str | int, is_one: bool) -> None:
    rules = Trials(methods=("try_at_home",), field="trial")
    assert rules.fits(order(extra={"trial": flag})) is is_one
    assert rules.fits(order(method="try_at_home"))
    assert not Trials().fits(order(method="try_at_home"))
