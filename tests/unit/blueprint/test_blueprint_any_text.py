"""Whatever stands in the file, the answer is a blueprint that can be shown and compared, or problems with their place.

With COUNTERFOIL_FUZZ=100 a hundred times as many files are looked at.
"""

from __future__ import annotations

import copy
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counterfoil.blueprint import (
    Catalogue,
    ConnectorInfo,
    OperationInfo,
    SettingInfo,
    as_data,
    dump,
    examine_text,
    parse,
    render_page,
)
from counterfoil.blueprint.difference import differences
from counterfoil.doors.assembly import catalogue

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
TIMES = int(os.environ.get("COUNTERFOIL_FUZZ", "1"))
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


REAL = catalogue()
EXAMPLE = (Path(__file__).parents[3] / "examples" / "blueprint.yaml").read_text(encoding="utf-8")
WHOLE: dict[str, Any] = yaml.safe_load(re.sub(r"\bon:", '"on":', EXAMPLE)) | {
    "approvals": {"sections": ["owners", "taxes"], "by": ["anna", "bob"]},
    "profiles": {"test": {"systems": {"web-eu": {"url": "https://test.example"}}, "payments": None}},
}
BEFORE = as_data(parse(EXAMPLE, known=REAL, environ={}, require_secrets=False))


def answers(text: str | bytes, known: Catalogue = KNOWN, profile: str = "") -> None:
    """The one thing asked: no exception; every problem says where, what was found and expected; what is sound can be
    shown and compared."""
    examined = examine_text(text, known=known, environ=ENVIRON, file="shop.yaml", profile=profile)
    for problem in (*examined.problems, *examined.warnings):
        assert problem.file == "shop.yaml"
        assert problem.line > 0, problem
        assert problem.column > 0, problem
        assert problem.found
        assert problem.expected
        assert "\n" not in str(problem)
        str(problem).encode("utf-8")
    assert (examined.blueprint is None) == bool(examined.problems)
    if examined.blueprint is not None:
        shown = render_page(examined.blueprint, "Blueprint", "html", known)
        shown += render_page(examined.blueprint, "Blueprint", "markdown", known)
        shown.encode("utf-8")
        assert "<script" not in shown.lower()
        for change in differences(BEFORE, as_data(examined.blueprint)):
            str(change)


@UNHURRIED
@given(st.text() | st.text(alphabet="ab:-[]{}#&*!|>'\"%@`,? \n\t0"))
def test_any_text_gets_an_answer(text: str) -> None:
    answers(text)


@UNHURRIED
@given(st.binary())
def test_any_bytes_get_an_answer(raw: bytes) -> None:
    answers(raw)


@settings(UNHURRIED, max_examples=300 * TIMES)
@given(st.dictionaries(words, trees, max_size=8))
def test_anything_like_a_blueprint_gets_an_answer(data: dict[str, Any]) -> None:
    answers(yaml.safe_dump(data | {"counterfoil": 1}))
    answers(yaml.safe_dump({"counterfoil": 1, "systems": {"odoo": data}, "flows": [data], "taxes": [data]}))


# What stands in place of something else: other types and sizes, and texts that mean something to a reader of the page,
# to YAML or to the lookup of secrets.
NASTY = """<script>alert(1)</script> "><img src=x onerror=alert(1)> ${NAME} ${ ${NONE} | ``` ]]> &lt; &#x3c;script&#x3e;
javascript:alert(1) 1e999 0x10 -1 99999999999999999999999 NaN 10:30 2026-02-30 2026-02-30T25:00:00Z {file:x} !!python
../.. postgresql://u:p@h/d""".split()
NASTY += ["a\u202eb", "a\x00b", "\ud800", "a" * 5000, "a\nb", "\u2028", " ", "\ufeff", "🧾" * 50]
odd: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(NASTY),
    leaves,
    st.integers(-(10**30), 10**30),
    st.just([]),
    st.just({}),
    st.just([[[[[[[[[[[[[[1]]]]]]]]]]]]]]),
    trees,
    st.lists(st.sampled_from(NASTY), min_size=1, max_size=3),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in the data, the whole included."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, part in below for place in places(part, (*path, step)))]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """The example with one to four places changed: something odd there, gone, doubled, renamed, or of elsewhere."""
    data = copy.deepcopy(WHOLE)
    for _ in range(draw(st.integers(1, 4))):
        *above, step = draw(st.sampled_from(places(data)[1:]))
        holder = data
        for each in above:
            holder = holder[each]
        how = draw(st.sampled_from(["odd", "odd", "odd", "gone", "doubled", "renamed", "elsewhere"]))
        if how == "gone":
            del holder[step]
        elif how == "doubled" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[step]))
        elif how == "renamed" and isinstance(holder, dict):
            holder[draw(st.sampled_from(NASTY) | words)] = holder.pop(step)
        elif how == "elsewhere":
            other: Any = WHOLE
            for each in draw(st.sampled_from(places(WHOLE)[1:])):
                other = other[each]
            holder[step] = copy.deepcopy(other)
        else:
            holder[step] = copy.deepcopy(draw(odd))
        if not data:
            break
    return data


@settings(UNHURRIED, max_examples=100 * TIMES, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(), st.sampled_from(["", "test", "none"]))
def test_an_example_changed_anywhere_gets_an_answer(data: dict[str, Any], profile: str) -> None:
    # escaped, as a file may hold them: half of a surrogate pair, control characters
    answers(yaml.safe_dump(data, allow_unicode=False), REAL, profile)


@settings(UNHURRIED, max_examples=100 * TIMES)
@given(st.data())
def test_an_example_with_lines_and_characters_changed_gets_an_answer(data: st.DataObject) -> None:
    lines = EXAMPLE.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 5))):
        number = data.draw(st.integers(0, len(lines) - 1))
        line = lines[number]
        at = data.draw(st.integers(0, len(line)))
        scrap = data.draw(
            st.sampled_from([*NASTY, *"&*!%@`|>'\"[]{},:#?-\t\n ", "? ", "- ", "&a ", "*a ", "!!map ", "<<: *a\n"])
        )
        lines[number] = data.draw(
            st.sampled_from([line[:at] + scrap + line[at:], line * 2, "", line[at:], scrap + "\n"])
        )
    answers("".join(lines), REAL)


@settings(UNHURRIED, max_examples=100 * TIMES)
@given(st.data())
def test_an_example_with_any_bytes_in_it_gets_an_answer(data: st.DataObject) -> None:
    raw = bytearray(EXAMPLE.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    answers(bytes(raw), REAL)


DEEP = 10_000


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)),
        "counterfoil: 1\nsystems: &s {a: *s}\n",
        "counterfoil: 1\n<<: {systems: {}}\n",
        "counterfoil: !!python/object/apply:os.system [x]\n",
        "[" * DEEP,
        "{a: " * DEEP,
        "- " * DEEP,
        "counterfoil: 1\nsystems:\n" + "  a: {connector: odoo}\n" * 2000,
        "counterfoil: 1\nowners: {" + ", ".join(f"o{n}: s{n}" for n in range(4000)) + "}\n",
        "counterfoil: 1\nflows:\n" + "  - {on: order.placed, do: odoo.accept_order}\n" * 2000,
        "counterfoil: 1\nprofiles: {" + ", ".join(f"p{n}: {{}}" for n in range(5000)) + "}\n",
        "counterfoil: 1\nprofiles:\n  test: {profiles: {test: {}}}\n",
        "counterfoil: 1\n" + "x" * 900_000 + ": 1\n",
        "counterfoil: 1\n? [a, b]\n: 1\n",
        "%YAML 99.99\n---\ncounterfoil: 1\n",
        "%TAG ! !\n---\ncounterfoil: 1\n",
        "counterfoil: 1\n---\ncounterfoil: 1\n",
        "\ufeffcounterfoil: 1\n",
        "counterfoil: 1\r\nsystems:\r\n",
        'counterfoil: 1\nstore: "\\UFFFFFFFF"\n',
        "a\0b",
    ],
    ids=lambda text: repr(text[:24]),
)
def test_what_is_meant_to_break_a_reader_gets_an_answer(text: str) -> None:
    for profile in ("", "test"):
        answers(text, REAL, profile)
        answers(text.encode("utf-16"), REAL, profile)


def test_a_typing_error_gets_its_remedy() -> None:
    """Where a name comes close to one there is, the problem says which was meant."""
    for wrong, right in (("flows:", "flow:"), ("connector:", "conector:"), ("odoo.accept_order", "odoo.acept_order")):
        text = EXAMPLE.replace(wrong, right, 1)
        found = examine_text(text, known=REAL, environ={}).problems
        assert any("did you mean" in problem.hint for problem in found), found


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
