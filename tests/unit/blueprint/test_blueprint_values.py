"""What stands at each key: what it becomes, and what is said if it is wrong."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from tests.unit.blueprint.examining import Changed, Look, good, only

from counterfoil.blueprint import (
    Blueprint,
    BlueprintError,
    Catalogue,
    ExceptionOwners,
    Flow,
    Rate,
    Secret,
    System,
    format_duration,
    parse,
    parse_duration,
    parse_rate,
)

LEAST = """\
counterfoil: 1
systems:
  odoo: {connector: odoo, url: https://odoo.example/, database: prod, api_key: "${ODOO_KEY}"}
"""


def test_a_whole_blueprint_is_read_into_the_model(look: Look, whole: str) -> None:
    blueprint = good(look(whole))
    web = blueprint.systems["web-eu"]
    assert (web.name, web.connector, web.url) == ("web-eu", "woocommerce", "https://shop.example")
    assert (web.poll, web.overlap) == (timedelta(seconds=60), timedelta(minutes=2))
    assert web.cut_over == datetime(2026, 1, 1, tzinfo=UTC)
    assert web.secret("consumer_key") == "ck_0123456789"
    assert blueprint.systems["odoo"].text("database") == "prod"
    assert blueprint.owners == {"order": "web-eu", "stock": "odoo"}
    assert blueprint.flows[0] == Flow(
        on="order.placed",
        from_="web-eu",
        do="odoo.accept_order",
        within=timedelta(seconds=60),
        when_down="critical",
        batch=20,
        rate=Rate(10, 1),
    )
    assert (blueprint.flows[0].system, blueprint.flows[0].operation) == ("odoo", "accept_order")
    assert [(row.rate, row.country, row.class_, row.odoo) for row in blueprint.taxes] == [
        (Decimal("20"), "FR", "standard", "20% G"),
        (Decimal("5.5"), None, None, 7),
    ]
    assert [(row.method, row.journal) for row in blueprint.payments] == [("bacs", "BNK1"), ("*", "BNK2")]
    assert (blueprint.listen_host, blueprint.listen_port) == ("127.0.0.1", 8470)


def test_what_is_left_out_has_the_documented_default(look: Look) -> None:
    blueprint = good(look(LEAST))
    assert blueprint.store.reveal() == "sqlite:///counterfoil.db"
    assert (blueprint.listen, blueprint.public_url) == ("127.0.0.1:8470", None)
    odoo = blueprint.systems["odoo"]
    assert (odoo.poll, odoo.overlap, odoo.cut_over) == (None, timedelta(minutes=2), None)
    assert odoo.url == "https://odoo.example", "without the trailing slash, so that paths can be added"
    assert (blueprint.flows, blueprint.taxes, blueprint.payments) == ((), (), ())
    orders = blueprint.orders
    assert (orders.pending, orders.on_hold, orders.processing) == ("wait", "quotation", "accept")
    assert (orders.completed, orders.rounding_tolerance) == ("accept", 5)
    assert blueprint.customers.match == ("email",)
    assert blueprint.exceptions.owner_of("unknown_sku") == "shop-manager"
    assert blueprint.exceptions.owner_of("bad_credentials", "misconfigured") == "integration-engineer"


def test_a_flow_says_only_what_to_do_and_has_defaults_for_the_rest(look: Look, whole: str) -> None:
    flow = good(look(whole)).flows[1]
    assert (flow.from_, flow.within, flow.batch, flow.rate) == (None, None, None, None)
    assert (flow.when_down, flow.on_exception) == ("defer", "hold")


def test_a_section_with_nothing_in_it_counts_as_left_out(look: Look) -> None:
    sections = "owners:\nflows:\nchannels:\norders:\ncustomers:\ntaxes:   # none yet\npayments:\nexceptions:\n"
    assert good(look(LEAST + sections)) == good(look(LEAST))


def test_nothing_in_a_blueprint_can_be_changed(look: Look, whole: str) -> None:
    blueprint = good(look(whole))
    with pytest.raises(Exception, match="frozen"):
        blueprint.listen = "0.0.0.0:1"
    with pytest.raises(TypeError):
        blueprint.systems["new"] = blueprint.systems["odoo"]  # type: ignore[index]
    with pytest.raises(TypeError):
        blueprint.systems["odoo"].settings["database"] = "other"  # type: ignore[index]
    with pytest.raises(TypeError):
        blueprint.exceptions.by_reason["bug"] = "nobody"  # type: ignore[index]


def test_a_blueprint_can_be_copied_whole_or_with_a_change(look: Look, whole: str) -> None:
    blueprint = good(look(whole))
    assert copy.deepcopy(blueprint) == blueprint
    assert pickle.loads(pickle.dumps(blueprint)) == blueprint
    assert blueprint.model_copy(update={"listen": "127.0.0.1:1"}).listen_port == 1


def test_a_blueprint_can_be_made_in_code() -> None:
    blueprint = Blueprint(
        store=Secret("sqlite:///x.db"),
        systems={"odoo": System(name="odoo", connector="odoo", poll=timedelta(milliseconds=50))},
        flows=(Flow(on="order.placed", do="odoo.accept_order"), Flow(on="order.placed", from_="a", do="hub.ask")),
    )
    assert [flow.do for flow in blueprint.flows_on("order.placed", "a")] == ["odoo.accept_order", "hub.ask"]
    assert [flow.do for flow in blueprint.flows_on("order.placed", "b")] == ["odoo.accept_order"]
    assert blueprint.flows_on("order.paid", "a") == ()


def test_an_exception_belongs_to_the_owner_of_its_reason_then_of_its_outcome() -> None:
    owners = ExceptionOwners(default="d", by_reason={"unknown_sku": "buyer", "rejected": "office"})
    assert owners.owner_of("unknown_sku", "rejected") == "buyer"
    assert owners.owner_of("no_lines", "rejected") == "office"
    assert owners.owner_of("no_lines") == "d"


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("2m", 120), ("48h", 172_800), ("1d", 86_400), ("0s", 0), ("500ms", 0.5)]
)
def test_durations_are_read_and_written(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert parse_duration(format_duration(parse_duration(text))) == parse_duration(text)


@pytest.mark.parametrize("text", ["", "60", "often", "1 m", "-1s", "1.5h", "1y", "٣s", "99999d", "1s "])
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "rate"), [("10/s", Rate(10, 1)), ("300/min", Rate(300, 60)), ("9/h", Rate(9, 3600))])
def test_rates_are_read_and_written(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate
    assert str(rate) == text
    assert parse_rate("300/min").per_second == 5


@pytest.mark.parametrize("text", ["", "10", "0/s", "10/m", "10 / s", "1.5/s", "-1/s"])
def test_other_texts_are_no_rates(text: str) -> None:
    with pytest.raises(ValueError, match="whole number"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-03-29T02:30:00+01:00", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("2026-03-29 00:00:00Z", datetime(2026, 3, 29, tzinfo=UTC)),
        ('"2026-03-29T00:00:00-07:00"', datetime(2026, 3, 29, 7, tzinfo=UTC)),
    ],
)
def test_a_cut_over_in_any_zone_is_kept_in_utc(changed: Changed, written: str, moment: datetime) -> None:
    examined, _ = changed("2026-01-01T00:00:00Z", written)
    assert good(examined).systems["web-eu"].cut_over == moment


@pytest.mark.parametrize("written", ["5.5", '"5.5"', "05.5", "5.500000"])
def test_a_tax_rate_is_exact_however_it_is_written(changed: Changed, written: str) -> None:
    examined, _ = changed("rate: 5.5", f"rate: {written}")
    assert good(examined).taxes[1].rate == Decimal("5.5")


def test_a_tax_rate_never_passes_through_a_float(changed: Changed) -> None:
    examined, _ = changed("rate: 5.5", "rate: 0.100000")
    assert str(good(examined).taxes[1].rate) == "0.100000"


def test_a_number_without_quotes_is_a_tax_id_and_with_quotes_a_name(changed: Changed) -> None:
    examined, _ = changed("odoo: 7}", 'odoo: "7"}')
    assert good(examined).taxes[1].odoo == "7"


@pytest.mark.parametrize(("written", "code"), [("101", "101"), ("007", "007"), ("1e3", "1e3"), ("12:30", "12:30")])
def test_a_journal_code_of_digits_stays_as_written(changed: Changed, written: str, code: str) -> None:
    examined, _ = changed("journal: BNK1", f"journal: {written}")
    assert good(examined).payments[0].journal == code


def test_norway_is_a_country(changed: Changed) -> None:
    examined, _ = changed("country: FR", "country: NO")
    assert good(examined).taxes[0].country == "NO"


WRONG = [
    # (what is replaced, by what, path, found, expected, hint)
    ("counterfoil: 1", "counterfoil: 2", "counterfoil", "2", "1, the version of the format", ""),
    ("listen: 127.0.0.1:8470", "listen: 8470", "listen", "8470", "a host and port such as 127.0.0.1:8470", ""),
    ("127.0.0.1:8470", "localhost:99999", "listen", '"localhost:99999"', "a host and port such as", ""),
    ("127.0.0.1:8470", "", "listen", "nothing", "a value", "or leave the key out"),
    ("https://hub.example", "hub.example", "public_url", '"hub.example"', "an address such as", "http://"),
    (
        "https://shop.example",
        "ftp://shop.example",
        "systems.web-eu.url",
        '"ftp://shop.example"',
        "an address",
        "http",
    ),
    ("https://shop.example", "https://", "systems.web-eu.url", '"https://"', "an address", "a host"),
    (
        "https://shop.example",
        "https://x:port",
        "systems.web-eu.url",
        '"https://x:port"',
        "an address",
        "well-formed",
    ),
    ("https://shop.example", "https://x/?a=1", "systems.web-eu.url", '"https://x/?a=1"', "an address", "leave off"),
    ("https://shop.example", "", "systems.web-eu.url", "nothing", "an address such as https://shop.example", ""),
    ("https://shop.example", "[x]", "systems.web-eu.url", "a list", "an address such as https://shop.example", ""),
    ("https://shop.example", '""', "systems.web-eu.url", '""', "an address such as https://shop.example", ""),
    ("https://hub.example", '""', "public_url", '""', "an address such as https://hub.example", ""),
    ("database: prod", 'database: ""', "systems.odoo.database", '""', "the name of the database", "it is empty"),
    ("poll: 60s", "poll: often", "systems.web-eu.poll", '"often"', "a duration such as 60s or 2m", ""),
    ("poll: 60s", "poll: 60", "systems.web-eu.poll", "60", "a duration such as 60s or 2m", "give a unit: 60s"),
    ("poll: 60s", "poll: 0s", "systems.web-eu.poll", '"0s"', "a duration", "longer than 0s"),
    ("poll: 60s", "poll: {every: 60s}", "systems.web-eu.poll", "a mapping", "a duration", ""),
    ("overlap: 2m", "overlap: 9999d", "systems.web-eu.overlap", '"9999d"', "a duration", "at most 3650d"),
    (
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00",
        "systems.web-eu.cut_over",
        '"2026-01-01T00:00:00"',
        "a date and time with its zone, such as 2026-11-01T00:00:00Z",
        "the time zone is missing: 2026-01-01T00:00:00Z if UTC is meant",
    ),
    ("2026-01-01T00:00:00Z", "2026-01-01", "systems.web-eu.cut_over", '"2026-01-01"', "a date", "zone is missing"),
    ("2026-01-01T00:00:00Z", "soon", "systems.web-eu.cut_over", '"soon"', "a date and time with its zone", ""),
    ("2026-01-01T00:00:00Z", "0001-01-01T00:00:00+09:00", "systems.web-eu.cut_over", '"0001', "a date", "too far"),
    ("within: 60s", "within: soon", "flows[0].within", '"soon"', "a duration such as 60s or 2m", ""),
    (
        "when_down: critical",
        "when_down: critcal",
        "flows[0].when_down",
        '"critcal"',
        "one of critical, defer, latest_only",
        'did you mean "critical"?',
    ),
    ("on_exception: hold", "on_exception: no", "flows[0].on_exception", '"no"', "one of hold, pass", ""),
    ("batch: 20", "batch: 0", "flows[0].batch", "0", "a whole number from 1 to 1000", ""),
    ("batch: 20", 'batch: "20"', "flows[0].batch", '"20"', "a whole number from 1 to 1000", ""),
    ("batch: 20", "batch: true", "flows[0].batch", "true", "a whole number from 1 to 1000", ""),
    ("rate: 10/s", "rate: 10", "flows[0].rate", "10", "a rate such as 10/s or 300/min", ""),
    ("do: hub.ask", "do: ask", "flows[3].do", '"ask"', "an operation such as odoo.accept_order, or hub.ask", ""),
    ("pending: wait", "pending: accept", "orders.pending", '"accept"', "one of wait, quotation", ""),
    (
        "rounding_tolerance: 5",
        "rounding_tolerance: 0.05",
        "orders.rounding_tolerance",
        '"0.05"',
        "a whole number",
        "",
    ),
    ("rounding_tolerance: 5", "rounding_tolerance: -1", "orders.rounding_tolerance", "-1", "a whole number", ""),
    ("match: [email]", "match: [emial]", "customers.match[0]", '"emial"', "a list of email, vat", '"email"?'),
    ("match: [email]", "match: email", "customers.match", '"email"', "a list of email, vat, phone", ""),
    ("match: [email]", "match: []", "customers.match", "a list", "a list of email, vat, phone", ""),
    ("match: [email]", "match: [vat, vat]", "customers.match", "a list", "each at most once", "each once"),
    ("rate: 5.5", 'rate: "5,5"', "taxes[1].rate", '"5,5"', "a percentage from 0 to 100", "write 5.5"),
    ("rate: 5.5", "rate: 5.5%", "taxes[1].rate", '"5.5%"', "a percentage from 0 to 100", "write 5.5"),
    ("rate: 5.5", "rate: 1e1", "taxes[1].rate", '"1e1"', "a percentage from 0 to 100 such as 20 or 5.5", ""),
    ("rate: 5.5", "rate: 101", "taxes[1].rate", "101", "a percentage from 0 to 100", ""),
    ("rate: 5.5", "rate: .inf", "taxes[1].rate", '".inf"', "a percentage from 0 to 100", ""),
    ("country: FR", "country: fr", "taxes[0].country", '"fr"', "a two-letter country code such as FR", "write FR"),
    ("country: FR", "country: France", "taxes[0].country", '"France"', "a two-letter country code", ""),
    ("odoo: 7}", "odoo: 0}", "taxes[1].odoo", "0", "the name, external id or number of a tax in Odoo", ""),
    ("odoo: 7}", 'odoo: ""}', "taxes[1].odoo", '""', "the name, external id or number of a tax", ""),
    ("journal: BNK1", "journal: ", "payments[0].journal", "nothing", "the code of a journal in Odoo", ""),
    ("journal: BNK1", "journal: true", "payments[0].journal", "true", "the code of a journal in Odoo", ""),
    ("default: shop-manager", "default: ", "exceptions.default", "nothing", "who looks after it", ""),
    ("database: prod", "database: [prod]", "systems.odoo.database", "a list", "the name of the database", ""),
    ("database: prod", "database: ", "systems.odoo.database", "nothing", "the name of the database", ""),
    ("order: web-eu", "order: [web-eu]", "owners.order", "a list", "the name of a system", ""),
    (
        "{on: order.changed, do: hub.ask}",
        "hub.ask",
        "flows[3]",
        '"hub.ask"',
        "a mapping with the keys on, from",
        "",
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "path", "found", "expected", "hint"), WRONG, ids=[f"{row[2]}={row[1]}" for row in WRONG]
)
def test_a_wrong_value_is_shown_with_its_line_and_what_belongs_there(
    changed: Changed, old: str, new: str, path: str, found: str, expected: str, hint: str
) -> None:
    examined, line = changed(old, new)
    problem = only(examined)
    assert (problem.file, problem.line, problem.path) == ("shop.yaml", line, path)
    assert problem.found.startswith(found)
    assert expected in problem.expected
    assert hint in problem.hint
    assert bool(hint) == bool(problem.hint), problem.hint


@pytest.mark.parametrize(
    ("old", "new", "path", "expected"),
    [
        ("counterfoil: 1\n", "", "counterfoil", "counterfoil: 1, the version of the format"),
        ("    database: prod\n", "", "systems.odoo.database", "the name of the database"),
        ("    api_key: ${ODOO_KEY}\n", "", "systems.odoo.api_key", "${NAME} or {file: path}"),
        ("    url: https://odoo.example\n", "", "systems.odoo.url", "an address such as https://shop.example"),
        ("on: order.changed, ", "", "flows[3].on", "an event such as order.placed"),
        (", do: hub.ask", "", "flows[3].do", "an operation such as odoo.accept_order, or hub.ask"),
        (", odoo: 7", "", "taxes[1].odoo", "the name, external id or number of a tax in Odoo"),
        ("method: bacs, ", "", "payments[0].method", "a payment method of the shop"),
    ],
)
def test_a_missing_key_is_named_at_what_it_is_missing_from(
    look: Look, whole: str, old: str, new: str, path: str, expected: str
) -> None:
    problem = only(look(whole.replace(old, new)))
    assert problem.path == path
    assert problem.found == "nothing"
    assert expected in problem.expected
    around = path.rpartition(".")[0]
    if around.startswith("systems"):
        assert whole.splitlines()[problem.line - 1].strip() == "odoo:"


def test_a_system_without_connector_is_told_so_once(look: Look) -> None:
    problem = only(look("counterfoil: 1\nsystems:\n  odoo: {url: https://x}\n"))
    assert (problem.line, problem.path, problem.found) == (3, "systems.odoo.connector", "nothing")
    assert problem.expected == "the kind of system, such as woocommerce or odoo"


@pytest.mark.parametrize(
    ("old", "new", "path", "key", "hint"),
    [
        ("listen:", "lissen:", "lissen", "lissen", 'did you mean "listen"?'),
        ("    poll:", "    pol:", "systems.web-eu.pol", "pol", 'did you mean "poll"?'),
        ("    overlap:", "    settings:", "systems.web-eu.settings", "settings", ""),
        ("    within:", "    witin:", "flows[0].witin", "witin", 'did you mean "within"?'),
        ("    from:", "    from_:", "flows[0].from_", "from_", 'did you mean "from"?'),
        ("class:", "class_:", "taxes[0].class_", "class_", 'did you mean "class"?'),
        ("  on_hold:", "  on-hold:", "orders.on-hold", "on-hold", 'did you mean "on_hold"?'),
    ],
)
def test_an_unknown_key_is_refused_and_the_nearest_suggested(
    changed: Changed, old: str, new: str, path: str, key: str, hint: str
) -> None:
    examined, line = changed(old, new)
    problem = only(examined)
    assert (problem.line, problem.path) == (line, path)
    assert problem.found == f'the unknown key "{key}"'
    assert problem.expected.startswith("one of ")
    assert problem.hint == hint


@pytest.mark.parametrize(
    ("value", "found", "expected"),
    [
        ("[]", "a list", "a mapping of names to systems"),
        ("{}", "none", "at least one system"),
        ("", "none", "at least one system"),
        ("odoo", '"odoo"', "a mapping of names to systems"),
    ],
)
def test_there_must_be_a_system(look: Look, value: str, found: str, expected: str) -> None:
    problem = only(look(f"counterfoil: 1\nsystems: {value}\n"))
    assert (problem.line, problem.path, problem.found, problem.expected) == (2, "systems", found, expected)


@pytest.mark.parametrize(
    ("section", "value", "found", "expected"),
    [
        ("owners", "[x]", "a list", "a mapping of objects to systems"),
        ("flows", "{on: x}", "a mapping", "a list of flows"),
        ("taxes", "20", "20", "a list of taxes"),
        ("payments", "cash", '"cash"', "a list of payments"),
        ("orders", "[x]", "a list", "a mapping"),
        ("customers", "email", '"email"', "a mapping"),
        ("exceptions", "me", '"me"', "a mapping of reasons to who looks after them"),
    ],
)
def test_a_section_of_the_wrong_shape_is_refused(
    look: Look, section: str, value: str, found: str, expected: str
) -> None:
    problem = only(look(f"{LEAST}{section}: {value}\n"))
    assert (problem.line, problem.path, problem.found, problem.expected) == (4, section, found, expected)


@pytest.mark.parametrize("name", ["Web", "web_eu", "web.eu", "web:eu", "1web", '""', "x" * 41, "web eu"])
def test_a_system_name_must_fit_into_ids_and_operations(look: Look, name: str) -> None:
    problem = only(look(f"{LEAST}  {name}: {{connector: odoo}}\n"))
    assert problem.line == 4
    assert problem.expected == "a name of small letters, digits and -, beginning with a letter, at most 40 long"


def test_no_system_can_be_called_hub(look: Look) -> None:
    problem = only(look(f"{LEAST}  hub: {{connector: odoo}}\n"))
    assert (problem.line, problem.path, problem.found) == (4, "systems.hub", '"hub"')
    assert problem.expected == "another name"


def test_every_problem_is_told_at_once_in_the_order_of_the_file(look: Look, whole: str) -> None:
    text = (
        whole.replace("listen: 127.0.0.1:8470", "listen: here")
        .replace("poll: 60s", "poll: often")
        .replace("within: 60s", "within: soon")
        .replace("batch: 20", "batch: many")
        .replace("web-eu.note_order", "web-eu.note_ordr")
        .replace("journal: BNK2", "journal: ")
    )
    examined = look(text)
    assert [problem.path for problem in examined.problems] == [
        "listen",
        "systems.web-eu.poll",
        "flows[0].within",
        "flows[0].batch",
        "flows[2].do",
        "payments[1].journal",
    ]


def test_a_wrong_value_does_not_keep_the_rest_of_its_flow_from_being_checked(changed: Changed) -> None:
    examined, _ = changed("within: 60s\n    when_down: critical", "within: soon\n    when_down: critcal")
    assert [problem.path for problem in examined.problems] == ["flows[0].within", "flows[0].when_down"]
    examined, _ = changed("do: odoo.accept_order\n    within: 60s", "do: odoo.acept_order\n    within: soon")
    assert [problem.path for problem in examined.problems] == ["flows[0].do", "flows[0].within"]


def test_the_error_reads_one_line_a_problem(whole: str, known: Catalogue, environ: dict[str, str]) -> None:
    text = whole.replace("poll: 60s", "poll: often").replace("overlap: 2m", "overlap: 2")
    with pytest.raises(BlueprintError) as raised:
        parse(text, known=known, environ=environ, file="shop.yaml")
    assert str(raised.value).splitlines() == [
        'shop.yaml:12: systems.web-eu.poll: found "often", expected a duration such as 60s or 2m',
        "shop.yaml:13: systems.web-eu.overlap: found 2, expected a duration such as 60s or 2m (give a unit: 2s)",
    ]
    assert (raised.value.problems[0].line, raised.value.problems[0].column) == (12, 11)


def test_a_long_list_of_problems_is_cut_in_the_message_but_kept_whole(look: Look) -> None:
    examined = look(LEAST + "".join(f"key{number}: 1\n" for number in range(80)))
    lines = str(BlueprintError(examined.problems)).splitlines()
    assert len(examined.problems) == 80
    assert len(lines) == 51
    assert lines[-1] == "... and 30 more"


@pytest.mark.parametrize(
    ("limits", "path", "expected"),
    [
        ("{rate: fast}", "systems.web-eu.limits.rate", "a rate such as 10/s or 300/min"),
        ("{concurrency: 0}", "systems.web-eu.limits.concurrency", "a whole number from 1 to 100"),
        ("{calls: 4}", "systems.web-eu.limits.calls", "one of concurrency, rate"),
        ("4", "systems.web-eu.limits", "a mapping with the keys rate, concurrency"),
    ],
)
def test_a_wrong_limit_is_named_where_it_stands(changed: Changed, limits: str, path: str, expected: str) -> None:
    problem = only(changed("overlap: 2m", f"overlap: 2m\n    limits: {limits}")[0])
    assert (problem.line, problem.path) == (14, path)
    assert problem.expected.startswith(expected)


@pytest.mark.parametrize(("pressure", "key"), [("{backlog: 0}", "backlog"), ("{lag: 0s}", "lag"), ("{lag: 20}", "lag")])
def test_a_wrong_threshold_is_named(changed: Changed, pressure: str, key: str) -> None:
    problem = only(changed("counterfoil: 1\n", f"counterfoil: 1\npressure: {pressure}\n")[0])
    assert problem.path == f"pressure.{key}"
    assert problem.expected.startswith("a whole number: so many" if key == "backlog" else "a duration such as 60s")


def test_limits_and_thresholds_as_written_and_by_default(changed: Changed, look: Look, whole: str) -> None:
    blueprint = good(changed("overlap: 2m", "overlap: 2m\n    limits: {rate: 120/min, concurrency: 4}")[0])
    declared = blueprint.systems["web-eu"].limits
    assert (str(declared.rate), declared.concurrency) == ("120/min", 4)
    usual = good(look(whole))
    assert (usual.systems["odoo"].limits.rate, usual.systems["odoo"].limits.concurrency) == (None, None)
    assert (usual.pressure.backlog, usual.pressure.lag) == (5000, timedelta(seconds=20))
