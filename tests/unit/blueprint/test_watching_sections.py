"""The sections `metrics` and `traces`: what they take, and what they say of what they do not."""

from __future__ import annotations

import pytest
from tests.fakes import CATALOGUE, blueprint

from counterfoil.blueprint import examine_text
from counterfoil.blueprint.render import render

BASE = "counterfoil: 1\nsystems: {shop: {connector: fake}}\n"


def wrong(more: str) -> list[str]:
    found = examine_text(BASE + more, known=CATALOGUE, environ={"TOKEN": "t"})
    return [f"{problem.line}: {problem.path}: {problem.expected} {problem.hint}" for problem in found.problems]


def test_without_a_word_only_the_machine_itself_reads_metrics_and_nothing_is_traced() -> None:
    plan = blueprint()
    assert [plan.metrics.allows(address) for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "")] == [
        *(True, True, True),
        *(False, False),
    ]
    assert (plan.metrics.token, plan.metrics.listen, plan.traces.endpoint) == (None, None, "")
    assert "Metrics" not in render(plan)


def test_what_is_declared_is_looked_up_and_shown_without_its_secret() -> None:
    more = 'metrics: {allow: [10.0.0.0/8], token: "${TOKEN}", listen: "127.0.0.1:${PORT}"}\n'
    more += "traces: {endpoint: http://collector:4318, share: 12.5}\n"
    found = examine_text(BASE + more, known=CATALOGUE, environ={"TOKEN": "s3cret-token", "PORT": "9470"})
    assert found.blueprint is not None, found.problems
    plan = found.blueprint
    assert (plan.metrics.token.reveal(), plan.metrics.listen) == ("s3cret-token", "127.0.0.1:9470")  # type: ignore[union-attr]
    assert plan.metrics.allows("10.9.8.7")
    assert not plan.metrics.allows("127.0.0.1")
    assert float(plan.traces.share) == 12.5
    page = render(plan)
    assert "10.0.0.0/8" in page
    assert "http://collector:4318" in page
    assert "s3cret" not in page + plan.model_dump_json()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("metrics: {allow: [10.0.0.1/8]}", "a network such as 10.0.0.0/24"),
        ("metrics: {allow: [localhost]}", "a network such as 10.0.0.0/24"),
        ("metrics: {token: abc}", "a secret must not stand in the blueprint"),
        ("metrics: {tokens: x}", 'did you mean "token"?'),
        ("metrics: {listen: 9470}", "a host and port such as 127.0.0.1:9470"),
        ("traces: {endpoint: collector:4318}", "http:// or https://"),
        ("traces: {share: 120}", "a percentage from 0 to 100"),
    ],
)
def test_what_cannot_be_is_named_with_its_line(more: str, said: str) -> None:
    [problem] = wrong(more)
    assert problem.startswith("3: ")
    assert said in problem
