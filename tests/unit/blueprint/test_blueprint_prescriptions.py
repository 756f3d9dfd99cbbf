"""The section `prescriptions`: what is taken, and what is said of what is not."""

from __future__ import annotations

import base64

import pytest

from counterfoil.blueprint import Blueprint, BlueprintError, Catalogue, ConnectorInfo, dump, parse, render
from counterfoil.blueprint.prescriptions import Measure
from counterfoil.retail.events import EVENT_TYPES

KEY = base64.b64encode(bytes(32)).decode()
KNOWN = Catalogue.of([ConnectorInfo("fake", needs_url=False)], frozenset(EVENT_TYPES))
GOOD = """\
counterfoil: 1
systems: {web: {connector: fake}}
flows:
  - {on: prescription.attached, do: hub.ask}
returns: {within: 14d, never: [RX-*]}
prescriptions:
  needs: {skus: [RX-*]}
  key: ${KEY}
  old_keys: ["${OLD}"]
  fields:
    sphere: {type: number, min: -20, max: 20}
    issued_on: {type: date, valid_for: 730d}
  roles: {optician: [anna]}
  seen_by: [optician]
  released_by: [optician]
"""


def parsed(text: str, **environ: str) -> Blueprint:
    return parse(text, known=KNOWN, environ={"KEY": KEY, "OLD": KEY, **environ})


def test_it_is_read_written_and_put_into_words_without_its_key() -> None:
    plan = parsed(GOOD)
    rules = plan.prescriptions
    assert (rules.hold, rules.file, rules.key.reveal() if rules.key else "") == ("order", "optional", KEY)
    assert isinstance(rules.fields["sphere"], Measure)
    text = dump(plan)
    assert parsed(text) == plan
    words = render(plan)
    assert KEY not in text + words
    assert "released by optician" in words
    assert "shipped in the last 14d; never" in words


@pytest.mark.parametrize(
    ("was", "now", "line", "said"),
    [
        ("${KEY}", KEY, 8, "must not stand in the blueprint"),
        ("  key: ${KEY}\n", "", 6, "new-key makes a key"),
        ("min: -20", "min: 21", 11, "at most max"),
        ("valid_for: 730d", "min: 1", 12, "a type of number"),
        ("seen_by: [optician]", "seen_by: [opticain]", 14, 'did you mean "optician"?'),
        ("  released_by: [optician]\n", "", 6, "nobody could release one"),
        ("type: number, min: -20", "type: nummer, min: -20", 11, "one of number, integer"),
        ("skus: [RX-*]}", "sku: [RX-*]}", 7, 'did you mean "skus"?'),
        (
            "needs: {skus: [RX-*]}",
            "needs: {skus: [RX-*]}\n  record: {model: x, order: y, fields: {axis: z}}",
            8,
            "sphere",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_its_line(was: str, now: str, line: int, said: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        parsed(GOOD.replace(was, now, 1))
    found = caught.value.problems[0]
    assert (found.line, said in str(found)) == (line, True), str(found)


def test_a_secret_that_is_no_key_is_refused_without_showing_it() -> None:
    with pytest.raises(BlueprintError) as caught:
        parsed(GOOD, KEY="hunter2hunter2")
    assert "32 random bytes" in str(caught.value)
    assert "hunter2" not in str(caught.value)
