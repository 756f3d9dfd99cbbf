"""duplicates, identity, and decisions given back, as their users meet them: real processes, stand-in systems."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tests.command import also
from tests.integration.doors.conftest import Scene
from typer.testing import CliRunner

from counterfoil.doors.cli import app

PLACE = {"street": "7 rue des Lilas", "zip": "69003", "city": "Lyon"}
BILLING = {"address_1": "7 rue des Lilas", "postcode": "69003", "city": "Lyon", "country": "FR"}

BLUEPRINT = """\
counterfoil: 1
store: sqlite:///{folder}/counterfoil.db
systems:
  web: {{connector: woocommerce, url: "http://shop.invalid", consumer_key: "${{K}}", consumer_secret: "${{S}}"}}
  odoo: {{connector: odoo, url: "http://odoo.invalid", database: d, api_key: "${{A}}"}}
owners: {{customer: web}}
"""


@pytest.fixture
def known_by_more(scene: Scene) -> Scene:
    """The scene, with likenesses declared and a customer on both sides whom no key joins."""
    text = scene.file.read_text()
    rule = "customers: {match: [email, phone], candidates: {name: 0.9, address: 0.9}}\n"
    scene.file.write_text(f"{text}{rule}")
    scene.place.api.call(
        "res.partner", "create", vals_list=[{"name": "Zoé Lindqvist", "email": "zoe@home.example", **PLACE}]
    )
    scene.shop.shop.customers.add(
        "zoe@work.example", first_name="Zoe", last_name="Lindqvist", billing={**BILLING, "phone": "04 72 00 00 01"}
    )
    return scene


async def asked(scene: Scene, *arguments: str | Path) -> Any:
    return json.loads((await also(*arguments, "-b", scene.file, "--json")).stdout)


async def test_a_candidate_is_decided_in_the_file_and_linked(known_by_more: Scene, tmp_path: Path) -> None:
    """case: F36: first it waits for a person, then it is what that person said."""
    scene, file = known_by_more, tmp_path / "people.csv"
    first = await asked(scene, "link", "customers", "web", "--review", file, "--personal", "--write")
    assert first["review"]["candidate"] == 1
    rows = list(csv.DictReader(file.read_text().splitlines()))
    (row,) = [row for row in rows if row["reason"] == "candidate"]
    assert "Lindqvist" in row["odoo says"]
    assert "Lindqvist" not in json.dumps(await asked(scene, "link", "customers", "web")), "without being asked for"
    row["decision"] = "link"
    with file.open("w", newline="") as target:
        writer = csv.DictWriter(target, list(row))
        writer.writeheader()
        writer.writerows(rows)
    dry = await asked(scene, "link", "customers", "web", "--decisions", file)
    assert (dry["decided"], dry["written"]) == ({"link": 1, "not the same": 0}, None)
    done = await asked(scene, "link", "customers", "web", "--decisions", file, "--write")
    assert done["written"] == 1
    shown = await asked(scene, "identity", "show", "odoo", row["odoo"])
    assert shown["links"] == [{"customer": f"web:customer:{row['web']}", "system": "odoo", "id": row["odoo"]}]
    assert row["web"] in (await also("identity", "show", "web", row["web"], "-b", scene.file)).stdout
    parted = await asked(scene, "identity", "split", "web", row["web"], "odoo", row["odoo"], "--write")
    assert parted["links"] == [f"web:customer:{row['web']} is odoo {row['odoo']} -> no link"]
    after = await asked(scene, "link", "customers", "web", "--write")
    assert (after["review"].get("candidate", 0), after["written"]) == (0, 0), "remembered"


async def test_duplicates_are_told_without_names_but_in_the_file(known_by_more: Scene, tmp_path: Path) -> None:
    scene, file = known_by_more, tmp_path / "twice.csv"
    again = {"name": "Lindqvist Zoé", "email": "ZOE@home.example"}
    [other] = scene.place.api.call("res.partner", "create", vals_list=[again])
    found = await asked(scene, "duplicates", "customers", "--system", "odoo")
    pair = [row for row in found["rows"] if row["reason"] == "same_key"]
    assert str(other) in [row["id"] for row in pair]
    assert "indqvist" not in json.dumps(found)
    words = (await also("duplicates", "customers", "--system", "odoo", "-b", scene.file)).stdout
    assert "same key" in words
    assert "indqvist" not in words
    await also("duplicates", "customers", "--system", "odoo", "--csv", file, "-b", scene.file)
    assert "Lindqvist Zoé" in file.read_text()


async def test_a_merge_is_shown_made_and_undone(scene: Scene) -> None:
    dry = await also("identity", "merge", "web", "3", "4", "-b", scene.file)
    assert "web:customer:3 would be merged into web:customer:4" in dry.stdout
    assert (await asked(scene, "identity", "show", "web", "3"))["merged_into"] is None
    assert (await asked(scene, "identity", "merge", "web", "3", "4", "--write"))["written"] is True
    assert (await asked(scene, "identity", "show", "web", "3"))["merged_into"] == "web:customer:4"
    await also("identity", "split", "web", "3", "--write", "-b", scene.file)
    assert (await asked(scene, "identity", "show", "web", "3"))["merged_into"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("duplicates", "orders", "--system", "web"), "products or customers"),
        (("duplicates", "customers", "--system", "nowhere"), "no system 'nowhere'"),
        (("duplicates", "customers", "--system", "web", "--csv", "a.txt"), "ends in .csv"),
        (("link", "customers", "web", "--decisions", "nowhere.csv"), "nowhere.csv cannot be read"),
        (("link", "customers", "web", "--personal"), "goes with --review FILE"),
        (("identity", "show", "nowhere", "1"), "no system 'nowhere'"),
        (("identity", "merge", "web", "1", "1"), "cannot be merged into itself"),
        (("identity", "split", "web", "1"), "was merged into nothing"),
        (("identity", "split", "web", "1", "odoo"), "Name its number too"),
        (("identity", "split", "web", "1", "odoo", "2"), "are not linked"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_reason(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """Before any system is asked."""
    file = tmp_path / "counterfoil.yaml"
    file.write_text(BLUEPRINT.format(folder=tmp_path))
    code = (
        2 if said in ("products or customers", "ends in .csv", "goes with --review FILE", "Name its number too") else 1
    )
    done = CliRunner().invoke(app, [*arguments, "-b", str(file)], env={"COLUMNS": "200", "K": "k", "S": "s", "A": "a"})
    assert (done.exit_code, said in " ".join(done.stderr.split())) == (code, True), done.output
