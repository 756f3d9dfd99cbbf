"""Whatever stands in the file, the answer is a blueprint or a BlueprintError with its place."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counterfoil.blueprint import (
    BlueprintError,
    Catalogue,
    ConnectorInfo,
    OperationInfo,
    Problem,
    SettingInfo,
    dump,
    parse,
    render,
)

EVENTS = ("order.placed", "order.accepted")
KNOWN = Catalogue.of(
    [
        ConnectorInfo(
            "odoo",
            (SettingInfo("api_key", secret=True), SettingInfo("database")),
            (OperationInfo("accept_order", "order", ("order.accepted",), state=True),),
            events=("order.placed",),
            is_channel=True,
        )
    ],
    EVENTS,
)
ENVIRON = {"NAME": "value"}
UNHURRIED = settings(deadline=None)  # what is slow on a busy machine is not wrong

# Words that mean something somewhere in a blueprint, to come close to valid ones.
WORDS = """counterfoil store listen public_url systems owners flows orders customers taxes payments exceptions
channels warehouses stock safety_stock requires tax_classes publish image price available on_hand
connector url poll overlap cut_over database api_key file on from do within when_down on_exception batch rate
limits concurrency pressure backlog lag pending match
country class odoo method journal default hub hub.ask odoo.accept_order order.placed order.accepted order 60s 10/s
https://x.example 2026-11-01T00:00:00Z 2026-11-01 ${NAME} ${NONE} email FR critical pass wait * ~ true""".split()

words = st.sampled_from(WORDS)
leaves = st.one_of(words, words, st.text(max_size=8), st.integers(), st.none(), st.booleans(), st.floats())
trees: st.SearchStrategy[Any] = st.recursive(
    leaves, lambda below: st.lists(below, max_size=3) | st.dictionaries(words, below, max_size=5), max_leaves=30
)


def answers(text: str | bytes) -> None:
    """The one thing asked: no other exception, and every problem can be shown."""
    problems: tuple[Problem, ...] = ()
    try:
        render(parse(text, known=KNOWN, environ=ENVIRON))
    except BlueprintError as error:
        problems = error.problems
        str(error).encode("utf-8")
    for problem in problems:
        assert problem.found
        assert problem.expected
        assert "\n" not in str(problem)


@UNHURRIED
@given(st.text() | st.text(alphabet="ab:-[]{}#&*!|>'\"%@`,? \n\t0"))
def test_any_text_gets_an_answer(text: str) -> None:
    answers(text)


@UNHURRIED
@given(st.binary())
def test_any_bytes_get_an_answer(raw: bytes) -> None:
    answers(raw)


@settings(UNHURRIED, max_examples=300)
@given(st.dictionaries(words, trees, max_size=8))
def test_anything_like_a_blueprint_gets_an_answer(data: dict[str, Any]) -> None:
    answers(yaml.safe_dump(data | {"counterfoil": 1}))
    answers(yaml.safe_dump({"counterfoil": 1, "systems": {"odoo": data}, "flows": [data], "taxes": [data]}))


names = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True).filter(lambda name: name != "hub")
durations = st.builds(lambda count, unit: f"{count}{unit}", st.integers(1, 3000), st.sampled_from(["s", "m", "h", "d"]))
labels = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=10).filter(
    lambda text: "${" not in text
)
rates = st.decimals(0, 100, places=2).map(str)


@st.composite
def valid(draw: st.DrawFn) -> dict[str, Any]:
    """A blueprint as data, with some of everything."""
    systems = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    calls = st.sampled_from(["10/s", "300/min", "5/h"])
    system = st.fixed_dictionaries(
        {"connector": st.just("odoo"), "url": st.just("https://x.example")},
        optional={
            "poll": durations,
            "overlap": durations,
            "api_key": st.just("${NAME}"),
            "database": labels,
            "limits": st.fixed_dictionaries({}, optional={"rate": calls, "concurrency": st.integers(1, 100)}),
            "cut_over": st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
        },
    )
    flow = st.fixed_dictionaries(
        {"on": st.sampled_from(["order.placed", ["order.placed"]]), "do": st.just(f"{systems[0]}.accept_order")},
        optional={
            "within": durations,
            "when_down": st.sampled_from(["critical", "defer", "latest_only"]),
            "on_exception": st.sampled_from(["hold", "pass"]),
            "batch": st.integers(1, 1000),
            "rate": calls,
        },
    )
    tax = st.fixed_dictionaries(
        {"rate": rates, "odoo": st.integers(1, 10**6) | labels},
        optional={"country": st.just("NO"), "class": labels},
    )
    channel = st.fixed_dictionaries(
        {},
        optional={
            "warehouses": st.lists(labels, max_size=2, unique=True),
            "stock": st.sampled_from(["available", "on_hand", "forecast"]),
            "safety_stock": st.integers(0, 1000),
            "requires": st.lists(st.sampled_from(["sku", "image"]), unique=True),
            "tax_classes": st.dictionaries(labels, labels, max_size=2),
            "publish": st.lists(st.sampled_from(["price", "stock"]), unique=True),
        },
    )
    return {
        "counterfoil": 1,
        "systems": {name: draw(system) for name in systems},
        "flows": draw(st.lists(flow, max_size=1)),
        "owners": draw(st.dictionaries(st.sampled_from(["order", "stock"]), st.sampled_from(systems))),
        "channels": {systems[0]: draw(channel)} if draw(st.booleans()) else {},
        "taxes": draw(st.lists(tax, max_size=1)),
        "payments": draw(
            st.lists(
                st.fixed_dictionaries({"method": labels, "journal": labels}),
                max_size=3,
                unique_by=lambda r: r["method"],
            )
        ),
        "exceptions": draw(st.dictionaries(labels, labels, max_size=2)),
        "pressure": draw(st.fixed_dictionaries({}, optional={"backlog": st.integers(1, 10**7), "lag": durations})),
    }


@settings(UNHURRIED, suppress_health_check=[HealthCheck.too_slow])
@given(valid())
def test_a_blueprint_dumped_and_loaded_again_is_the_same(data: dict[str, Any]) -> None:
    before = parse(yaml.safe_dump(data), known=KNOWN, environ=ENVIRON)
    assert parse(dump(before), known=KNOWN, environ=ENVIRON) == before
    assert dump(parse(dump(before), known=KNOWN, environ=ENVIRON)) == dump(before)
