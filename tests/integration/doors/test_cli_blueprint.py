"""`counterfoil blueprint` as its users meet it: real processes, real files, a real store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.command import also, counterfoil
from tests.integration.doors.conftest import Scene

EXAMPLE = Path(__file__).parents[3] / "examples" / "blueprint.yaml"
PROFILES = """
profiles:
  test:
    systems: {web-eu: {url: "https://test.example"}}
    store: sqlite:///test.db
  production: {}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The example with two profiles, and an empty store beside it."""
    file = tmp_path / "shop.yaml"
    text = EXAMPLE.read_text().replace("sqlite:///counterfoil.db", f"sqlite:///{tmp_path}/hub.db")
    file.write_text(text + PROFILES)
    return file


def other(shop: Path, old: str, new: str) -> Path:
    """The same blueprint with one text replaced."""
    file = shop.with_name("other.yaml")
    text = shop.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return file


def test_a_page_is_written_in_the_form_its_name_says(shop: Path) -> None:
    for name, begin in (("page.html", "<!doctype html>"), ("page.md", "# Blueprint shop")):
        output = shop.with_name(name)
        assert "Wrote" in counterfoil("blueprint", "render", "-b", shop, "-o", output).stdout
        assert output.read_text().startswith(begin)
    assert counterfoil("blueprint", "render", "-b", shop).stdout == shop.with_name("page.md").read_text()
    assert counterfoil("blueprint", "render", "-b", shop, "--html").stdout == shop.with_name("page.html").read_text()


def test_the_blueprint_itself_is_not_written_over(shop: Path) -> None:
    before = shop.read_text()
    refused = counterfoil("blueprint", "render", "-b", shop, "-o", shop, code=2)
    assert ".html or .md" in refused.stderr
    assert shop.read_text() == before
    assert "not both" in counterfoil("blueprint", "render", "-b", shop, "--html", "--markdown", code=2).stderr


def test_check_takes_several_files_and_all_their_profiles(shop: Path) -> None:
    counterfoil("blueprint", "check", shop, EXAMPLE)
    bad = other(shop, "https://test.example", "test.example")
    line = bad.read_text().splitlines().index('    systems: {web-eu: {url: "test.example"}}') + 1
    said = counterfoil("blueprint", "check", shop, bad, code=2).stdout
    assert f"other.yaml:{line}: systems.web-eu.url" in said
    checked = json.loads(counterfoil("blueprint", "check", bad, "--json", code=2).stdout)
    assert [one["profile"] for one in checked["checked"]] == ["", "test", "production"]
    assert [(one["line"], one["path"]) for one in checked["problems"]] == [(line, "systems.web-eu.url")]
    noted = counterfoil("blueprint", "check", bad, "--annotate", code=2).stdout
    assert noted.startswith(f"::error file={bad},line={line},col=")


def test_check_fails_for_warnings_only_where_it_shall(shop: Path) -> None:
    soon = other(shop, "2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z")
    assert "warning" in counterfoil("blueprint", "check", soon).stdout
    counterfoil("blueprint", "check", soon, "--strict", code=1)
    counterfoil("blueprint", "check", shop, "--strict")


def test_a_profile_in_a_file_beside_the_blueprint_names_its_own_lines(shop: Path) -> None:
    shop.with_name("shop.staging.yaml").write_text("# staging\nsystems:\n  web-eu:\n    poll: often\n")
    said = counterfoil("check", "-b", shop, "--profile", "staging", code=2).stdout
    assert "shop.staging.yaml:4: systems.web-eu.poll" in said
    assert "shop.staging.yaml:4" in counterfoil("blueprint", "check", shop, code=2).stdout
    counterfoil("check", "-b", shop)


def test_the_profile_is_chosen_by_option_or_environment(shop: Path) -> None:
    for how in (("--profile", "test"), ()):
        done = counterfoil("blueprint", "render", "-b", shop, *how, COUNTERFOIL_PROFILE="" if how else "test")
        assert "https://test.example" in done.stdout
    unknown = counterfoil("status", "-b", shop, "--profile", "tset", code=2)
    assert 'did you mean "test"?' in unknown.stderr


def test_diff_tells_what_a_promotion_changes(shop: Path) -> None:
    done = counterfoil("blueprint", "diff", f"{shop}@test", f"{shop}@production", code=1)
    assert "changed  systems.web-eu.url: https://test.example → https://shop.example" in done.stdout
    assert "changed  store: sqlite:///test.db" in done.stdout
    assert "Nothing differs." in counterfoil("blueprint", "diff", shop, f"{shop}@production").stdout
    told = json.loads(counterfoil("blueprint", "diff", shop, f"{shop}@test", "--json", code=1).stdout)
    assert {"section": "systems", "what": "systems.web-eu.url", "how": "changed"}.items() <= told[-1].items()
    assert counterfoil("blueprint", "diff", shop, "missing.yaml", code=2).stderr


def test_diff_with_what_is_in_force_says_where_there_is_nothing_yet(shop: Path) -> None:
    done = counterfoil("blueprint", "diff", "in-force", shop, "-b", shop, code=2)
    assert "when the hub starts" in done.stderr
    assert "no change 7" in counterfoil("blueprint", "diff", "change:7", shop, "-b", shop, code=2).stderr


async def test_a_change_for_two_is_refused_proposed_approved_and_served(scene: Scene) -> None:
    """From the first start to the history, with the hub itself."""
    text = scene.file.read_text() + "\napprovals: {sections: [payments], by: [anna, bob]}\n"
    scene.file.write_text(text)
    async with scene.hub(webhooks=False):
        pass
    assert "Nothing differs" in (await also("blueprint", "diff", "in-force", scene.file, "-b", scene.file)).stdout
    scene.file.write_text(text.replace("payments:\n", "payments:\n  - {method: by_letter, journal: BNK1}\n", 1))
    refused = await also("run", "-b", scene.file, code=1)
    assert "added    payments: method by_letter: journal BNK1" in refused.stderr
    assert "counterfoil blueprint propose" in refused.stderr
    who = ["--who", "anna", "--why", "cheques are taken again"]
    proposed = json.loads((await also("blueprint", "propose", "-b", scene.file, *who, "--json")).stdout)
    assert proposed["needs"] == ["payments"]
    number = str(proposed["change"])
    alone = await also("blueprint", "approve", number, "-b", scene.file, "--who", "anna", code=1)
    assert "somebody else has to approve it" in alone.stderr
    approved = await also("blueprint", "approve", number, "-b", scene.file, "--who", "bob")
    assert "added    payments: method by_letter" in approved.stdout
    async with scene.hub(webhooks=False):
        pass
    newest, *_ = json.loads((await also("blueprint", "history", "-b", scene.file, "--json")).stdout)
    assert (newest["proposed_by"], newest["approved_by"]) == ("anna", "bob")
    assert newest["in_force_at"] >= newest["approved_at"]
    assert "cheques are taken again" in (await also("blueprint", "history", "-b", scene.file)).stdout
    kept = (await also("blueprint", "history", number, "-b", scene.file)).stdout
    assert "by_letter" in kept
    assert "sandbox-key" not in kept
    await also("blueprint", "history", number, "-b", scene.file, "-o", scene.file)  # by the file that it replaces
    assert scene.file.read_text() == kept
    assert "sound" in (await also("blueprint", "check", "-b", scene.file)).stdout
    assert "history NUMBER -o" in (await also("blueprint", "history", "-b", scene.file, "-o", "x", code=2)).stderr


async def test_the_page_with_what_was_measured(scene: Scene) -> None:
    told = (await also("blueprint", "render", "-b", scene.file, "--measured", "--days", "7")).stdout
    assert "## Promised and measured, the last 7 days" in told
