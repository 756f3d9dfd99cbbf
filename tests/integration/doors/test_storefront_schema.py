"""Whatever is asked of the storefront, it answers as its OpenAPI document says, and never with an error of its own."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.appointing import SECTIONS
from tests.fakes import decode_order, payload
from tests.storefront_stage import ROOT, Stage, keep, product, storefront

from counterfoil.hub import records
from counterfoil.hub.store import open_store
from counterfoil.retail.events import Event

CHECKS = [
    *(not_a_server_error, status_code_conformance, content_type_conformance),
    *(response_headers_conformance, response_schema_conformance),
]
PRESCRIPTIONS = """\
prescriptions:
  {needs: {skus: [MUG]}, key: "${KEY}", roles: {optician: [kim]}, seen_by: [optician], released_by: [optician]}
"""
KNOWN = {"sku": "MUG", "number": "N1", "email": "kim@shop.example", "service": "eye-test", "store": "WH"}
"""What there is, for a part of the requests."""
EXAMPLES = 6
"""Of each operation, of requests as they should be and of others."""
CANNOT_BE_WRONG = (hypothesis.errors.Unsatisfiable,)
"""Of an operation that takes any text there are no wrong requests."""
LONGEST_ADDRESS = 60_000
"""Beyond that no server or client takes it."""
UNTIMED = hypothesis.settings(
    max_examples=EXAMPLES,
    database=None,
    deadline=None,
    derandomize=True,  # what fails here fails again; more examples find more, at any time
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.generate],
)


async def opened(file: Path) -> tuple[Any, Stage]:
    scene = storefront(await open_store(f"sqlite:///{file}"), SECTIONS + PRESCRIPTIONS)
    stage = await scene.__aenter__()
    order = decode_order("web", payload(1, email=KNOWN["email"]))
    await keep(stage.store, "web", "order", "1", order, "placed")
    of = {"subject": order.canonical_id, "key": order.canonical_id, "correlation": order.canonical_id}
    told = Event(
        id="e", type="order.placed", source="web", time=order.placed_at, refs=(("order", "N1"),), data={}, **of
    )
    async with stage.store.write() as connection:
        await records.keep_events(connection, stage.store, [told])
    await stage.sells(product("MUG"))
    await stage.counts(MUG={"WH": 7})
    stage.context.stop.set()  # streams end after their first words
    return scene, stage


async def closed(scene: Any, stage: Stage) -> None:
    await scene.__aexit__(None, None, None)
    await stage.store.close()


def test_every_answer_is_one_of_the_document(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        scene, stage = runner.run(opened(tmp_path / "hub.db"))
        document = runner.run(stage.client.get(f"{ROOT}/openapi.json")).json()
        schema = schemathesis.openapi.from_dict(document)
        authorization = stage.client.headers["Authorization"]
        answered: dict[str, set[int]] = {}

        def check(case: Case, known: bool) -> None:
            for given in (case.path_parameters, case.body) if known else ():
                if isinstance(given, dict):
                    given.update({name: value for name, value in KNOWN.items() if name in given})
            sent = requests.Request(**case.as_transport_kwargs(base_url="http://hub.example")).prepare()
            if len(sent.url or "") > LONGEST_ADDRESS:
                return
            headers = {name: value.encode("latin-1") for name, value in sent.headers.items()}
            headers["Authorization"] = authorization.encode()
            answer = runner.run(stage.client.request(sent.method, sent.url, headers=headers, content=sent.body))
            answered.setdefault(f"{case.method} {case.path}", set()).add(answer.status_code)
            case.validate_response(answer, checks=CHECKS)

        for operation in (each.ok() for each in schema.get_all_operations()):
            for mode in GenerationMode:
                strategy = operation.as_strategy(generation_mode=mode)
                with contextlib.suppress(*CANNOT_BE_WRONG if mode is GenerationMode.NEGATIVE else ()):
                    UNTIMED(hypothesis.given(case=strategy, known=st.booleans())(check))()
        runner.run(closed(scene, stage))
    assert len(answered) >= 10
    assert {status for each in answered.values() for status in each} >= {200, 404, 422}


@pytest.mark.parametrize("path", ["/none", "/products/MUG/../../none", "/orders/status"])
async def test_what_is_not_there_is_a_problem_with_a_remedy(tmp_path: Path, path: str) -> None:
    scene, stage = await opened(tmp_path / "hub.db")
    answer = await stage.client.get(ROOT + path)
    assert answer.status_code in (404, 405)
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail", "remedy"}
    meaning = (await stage.client.get(answer.json()["type"])).json()
    assert meaning["remedy"] == answer.json()["remedy"]
    await closed(scene, stage)
