"""The page of a blueprint: one structure, as HTML that needs nothing else and as Markdown."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from tests.unit.blueprint.conftest import ENVIRON, KNOWN, WHOLE
from tests.unit.blueprint.examining import Look, good

from counterfoil.blueprint import Blueprint, Catalogue, ConnectorInfo, parse, render_page
from counterfoil.blueprint.diagram import diagram
from counterfoil.blueprint.explaining import Measured, Taken
from counterfoil.blueprint.manifest import limits_in_words
from counterfoil.blueprint.page import Arrow, Diagram, Heading, section
from counterfoil.blueprint.page_html import html
from counterfoil.blueprint.page_markdown import markdown
from counterfoil.blueprint.svg import svg

NASTY = "<script>alert(1)</script>\" onload='x' & [a](javascript:b) `c` | d"


class Seen(HTMLParser):
    """The tags with their attributes, and the text of the page outside of its style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ends: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.ends.append(tag)

    def handle_data(self, data: str) -> None:
        last = self.tags[-1][0] if self.tags else ""
        if last != "style" or "style" in self.ends:
            self.text += data if last == "wbr" else f" {data}"


def page_of(blueprint: Blueprint, form: str = "html", found: Measured | None = None) -> str:
    return render_page(blueprint, "Blueprint", form, KNOWN, found)  # type: ignore[arg-type]


def test_the_page_needs_nothing_from_outside_and_runs_nothing(look: Look, whole: str) -> None:
    page = page_of(good(look(whole)))
    seen = Seen(page)
    names = {tag for tag, _ in seen.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    for _, attributes in seen.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "style")]
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src &#x27;none&#x27;" in page


TEXTS = [
    ("database: prod", "database: {}"),
    ("default: shop-manager", "default: {}"),
    ("bug: integration-engineer", "bug: {}"),
    ('odoo: "20% G"', "odoo: {}"),
    ("class: standard", "class: {}"),
    ("method: bacs", "method: {}"),
    ("journal: BNK1", "journal: {}"),
    ("    consumer_key: ${WEB_KEY}\n", "    consumer_key: ${{WEB_KEY}}\n    version: {}\n"),
]


@pytest.mark.parametrize(("old", "new"), TEXTS, ids=lambda text: text[:12])
def test_no_text_of_the_blueprint_becomes_markup(old: str, new: str) -> None:
    """Whoever writes a name into the blueprint cannot make the page do or show anything else."""
    quoted = "'" + NASTY.replace("'", "''") + "'"
    plain = good_whole(WHOLE.replace(old, new.format("PLAIN"), 1))
    nasty = good_whole(WHOLE.replace(old, new.format(quoted), 1))
    before, after = Seen(page_of(plain)), Seen(page_of(nasty))
    assert [tag for tag, _ in before.tags] == [tag for tag, _ in after.tags]
    assert NASTY in after.text
    told = page_of(nasty, "markdown")
    assert "<script" not in told
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in told
    assert "[a](" not in told
    assert told.count("\n") == page_of(plain, "markdown").count("\n")
    assert pipes(told) == pipes(page_of(plain, "markdown"))


def good_whole(text: str) -> Blueprint:
    return parse(text, known=KNOWN, environ=ENVIRON)


def pipes(text: str) -> list[int]:
    """How many cells each line has."""
    return [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines()]


@pytest.mark.parametrize("form", ["html", "markdown"])
def test_secrets_are_not_on_the_page(look: Look, whole: str, form: str) -> None:
    page = page_of(good(look(whole)), form)
    assert not [value for value in ENVIRON.values() if value in page]


def test_both_forms_say_the_same(look: Look, whole: str) -> None:
    """Every word of the HTML page stands in the Markdown, and every section in both."""
    blueprint = good(look(whole))
    seen, told = Seen(page_of(blueprint)), page_of(blueprint, "markdown")
    headings = re.findall(r"^## (.+)$", told, re.MULTILINE)
    assert len(headings) == sum(tag == "h2" for tag, _ in seen.tags)
    for heading in (
        "Systems",
        "Who tells whom what",
        "Flows",
        "When a system is down",
        "Owners of the truth",
        "Taxes",
        "Payments",
        "Exceptions",
        "What is kept",
    ):
        assert heading in headings
        assert heading in seen.text
    shown = re.sub(r"<(desc|figcaption)[ >].*?</\1>", "", page_of(blueprint))
    words = set(re.findall(r"[\w.-]{4,}", Seen(shown).text))
    assert words <= set(re.findall(r"[\w.-]{4,}", told.replace("&lt;", "<")))


def test_tables_have_heads_for_those_who_cannot_see_them(look: Look, whole: str) -> None:
    seen = Seen(page_of(good(look(whole))))
    assert [a["lang"] for t, a in seen.tags if t == "html"] == ["en"]
    assert {a.get("scope") for t, a in seen.tags if t == "th"} == {"row", "col"}
    ids = [a["id"] for _, a in seen.tags if "id" in a]
    assert len(ids) == len(set(ids))
    links = [str(a["href"]).removeprefix("#") for t, a in seen.tags if t == "a"]
    assert set(links) <= set(ids)
    assert len(links) == sum(t == "h2" for t, _ in seen.tags)


def test_what_an_outage_means_stands_for_each_system(look: Look, whole: str) -> None:
    told = page_of(good(look(whole)), "markdown")
    row = next(line for line in told.splitlines() if line.startswith("| odoo | accept_order"))
    assert row.startswith("| odoo | accept_order, cancel_order | accept_order | nothing |")
    assert "read once it is back" in next(
        line for line in told.splitlines() if line.startswith("| web-eu | note_order")
    )


def test_what_was_measured_stands_beside_what_was_promised(look: Look, whole: str) -> None:
    found = Measured(30, {"odoo.accept_order": Taken(1000, 0.84, 3.24, 7400.0, 990, 3)}, {}, [("unknown_sku", 12, 4)])
    told = page_of(good(look(whole)), "markdown", found)
    assert "| odoo.accept_order | 1m | 1000 | 840 ms | 3.2 s | 2.1 h | 3 of 990 |" in told
    assert "| unknown_sku | 12 | 4 |" in told
    assert "measured" not in page_of(good(look(whole)), "markdown")


def test_a_manifest_tells_its_limits_and_leaves_out_what_is_done() -> None:
    manifest = {
        "versions": ["14.0", "19.0"],
        "limits": {"batch": 20, "unheard_of": 1},
        "quality": {"echo": "done", "care": "done: at once", "kits": "todo: no parts", "not_tried": "15.0"},
    }
    assert limits_in_words(manifest) == (
        ("versions", "14.0, 19.0"),
        ("speed", "at most 20 things in one call"),
        ("kits", "not yet: no parts"),
        ("not tried", "15.0"),
    )


def test_an_arrow_leads_from_who_reports_to_who_acts(look: Look, whole: str) -> None:
    drawn = diagram(good(look(whole)), KNOWN)
    assert drawn.systems == (("web-eu", "woocommerce"), ("odoo", "odoo"), ("a person", "who looks after it"))
    placed = Arrow(
        "web-eu",
        "odoo",
        ((("order.placed",), "accept_order"), (("order.cancelled",), "cancel_order")),
        frozenset({"accept_order"}),
    )
    assert drawn.arrows == (
        placed,
        Arrow("web-eu", "a person", ((("order.changed",), "review"),)),
        Arrow("odoo", "web-eu", ((("order.accepted",), "note_order"),)),
    )


def test_a_shop_that_reports_an_event_itself_is_the_only_source_of_its_flows() -> None:
    """Another shop's refunds are no business of a flow `from` this one."""
    keys = "consumer_key: '${WEB_KEY}', consumer_secret: '${WEB_KEY}'"
    second = f"  second: {{connector: woocommerce, url: https://2.example, {keys}}}\n"
    text = WHOLE.replace("  odoo:\n", f"{second}  odoo:\n", 1)
    arrows = diagram(good_whole(text), KNOWN).arrows
    assert [a.source for a in arrows for events, _ in a.lines if "order.placed" in events] == ["web-eu"]


def many() -> Diagram:
    """Eight systems that all tell each other four things."""
    systems = tuple((f"system-number-{n}", "connector") for n in range(8))
    lines = tuple(((f"order.event_{n}", "order.other"), f"operation_{n}") for n in range(4))
    pairs = [(a, b) for a, _ in systems for b, _ in systems if a != b]
    return Diagram(systems, tuple(Arrow(a, b, lines) for a, b in pairs))


BOX = re.compile(r'<rect x="(\d+)" y="([\d.]+)" width="(\d+)" height="([\d.]+)"')


def test_nothing_in_the_diagram_lies_on_anything_else() -> None:
    drawn = svg(many())
    boxes = [tuple(map(float, found)) for found in BOX.findall(drawn)]
    assert len(boxes) == 56 + 8 + 8
    for number, (x, y, width, height) in enumerate(boxes):
        for ox, oy, owidth, oheight in boxes[number + 1 :]:
            apart = x + width <= ox or ox + owidth <= x or y + height <= oy or oy + oheight <= y
            assert apart, ((x, y, width, height), (ox, oy, owidth, oheight))
    low = max(y + height for _, y, _, height in boxes)
    assert float(re.search(r'viewBox="-1 -1 \d+ ([\d.]+)"', drawn)[1]) >= low  # type: ignore[index]


def test_names_in_the_diagram_are_text_whatever_they_are() -> None:
    odd = f"{NASTY}\x00\ud800"
    drawn = Diagram(((odd, odd), ("b", odd)), (Arrow(odd, "b", (((odd,), odd),), frozenset({odd})),))
    written = svg(drawn)
    written.encode("utf-8")
    assert "\x00" not in written
    assert {tag for tag, _ in Seen(written).tags} <= {"svg", "title", "desc", "g", "path", "rect", "text", "tspan"}
    told = markdown("t", [drawn])
    assert not [line for line in told.splitlines() if "<script" in line or "```" in line[1:-8]]


def test_a_diagram_without_arrows_is_not_drawn() -> None:
    assert svg(Diagram((("a", "b"),), ())) == ""


def test_unknown_connectors_leave_the_page_whole(look: Look, whole: str) -> None:
    page = render_page(good(look(whole)), "Blueprint", "html", Catalogue.of([ConnectorInfo("odoo")], ()))
    assert "When a system is down" in page


@pytest.mark.parametrize("write", [html, markdown])
def test_odd_characters_are_shown_as_such(write: object) -> None:
    """Control characters, half a surrogate pair and marks that turn the direction of reading."""
    blocks = [Heading("a\u202eb"), "x\x00y\ud800z", *section("t", ("h",), [("1\n2",)])]
    page = write("T\x1b", blocks)  # type: ignore[operator]
    page.encode("utf-8")
    assert not set("\u202e\x00\ud800\x1b") & set(page)
    assert "x\ufffdy\ufffdz" in page
    assert "1 2" in page
