"""The doctor remembers what a system was made of, and says what changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from counterfoil.doors import fingerprints
from counterfoil.hub.contract import Connector, Failure, Finding, Kind, Mark, Outcome

FIRST = {"version": "19.0", "modules": {"sale_stock": "19.0.1.0", "stock": "19.0.1.1"}, "groups": ["sales", "stock"]}


class Told:
    """A system that is made of this."""

    def __init__(self, made_of: Mapping[str, Any] | Failure) -> None:
        self.made_of = made_of

    async def fingerprint(self) -> Mapping[str, Any]:
        if isinstance(self.made_of, Failure):
            raise self.made_of
        return self.made_of


async def look(folder: Path, made_of: Mapping[str, Any] | Failure) -> list[Finding]:
    return await fingerprints.look(folder / "shop.yaml", "odoo", cast(Connector, Told(made_of)))


async def test_the_first_look_is_kept_beside_the_blueprint(tmp_path: Path) -> None:
    (finding,) = await look(tmp_path, FIRST)
    assert (finding.mark, "first time" in finding.found) == (Mark.OK, True)
    assert json.loads((tmp_path / "shop.odoo.fingerprint.json").read_text())["fingerprint"] == FIRST


async def test_nothing_changed_is_said_too(tmp_path: Path) -> None:
    await look(tmp_path, FIRST)
    (finding,) = await look(tmp_path, FIRST | {"groups": ("sales", "stock")})
    assert (finding.mark, finding.found[:13]) == (Mark.OK, "nothing since")


async def test_what_changed_is_told_once(tmp_path: Path) -> None:
    await look(tmp_path, FIRST)
    now = {"version": "19.0", "modules": {"sale_stock": "19.0.1.2", "mrp": "19.0.2.0"}, "groups": ["sales"], "n": None}
    found = await look(tmp_path, now)
    assert {f.mark for f in found} == {Mark.WARNING}
    assert [f.found for f in found] == [
        "groups.stock: gone, was there",
        "modules.mrp: new, 19.0.2.0",
        "modules.sale_stock: 19.0.1.0 → 19.0.1.2",
        "modules.stock: gone, was 19.0.1.1",
        "n: new, null",
    ]
    assert found[0].remedy
    assert [f.mark for f in await look(tmp_path, now)] == [Mark.OK]


async def test_a_whole_upgrade_is_told_in_short(tmp_path: Path) -> None:
    await look(tmp_path, {"modules": {f"m{n}": "18" for n in range(100)}})
    found = await look(tmp_path, {"modules": {f"m{n}": "19" for n in range(100)}})
    assert len(found) == fingerprints.SHOWN + 1
    assert found[-1].found == "and 80 more"


async def test_a_system_that_cannot_be_asked_keeps_its_fingerprint(tmp_path: Path) -> None:
    await look(tmp_path, FIRST)
    before = (tmp_path / "shop.odoo.fingerprint.json").read_bytes()
    assert await look(tmp_path, Failure(Outcome(Kind.DOWN, "unreachable", "It cannot be reached."))) == []
    assert (tmp_path / "shop.odoo.fingerprint.json").read_bytes() == before


@pytest.mark.parametrize("kept", ["", "[]", "{}", '{"fingerprint": 7, "at": "x"}', "not json"])
async def test_a_file_that_cannot_be_read_is_a_first_look(tmp_path: Path, kept: str) -> None:
    (tmp_path / "shop.odoo.fingerprint.json").write_text(kept)
    (finding,) = await look(tmp_path, FIRST)
    assert "first time" in finding.found


async def test_a_folder_that_cannot_be_written_is_a_finding(tmp_path: Path) -> None:
    (finding,) = await look(tmp_path / "gone", FIRST)
    assert (finding.mark, bool(finding.remedy)) == (Mark.WARNING, True)


async def test_a_system_without_one_is_left_alone(tmp_path: Path) -> None:
    assert await fingerprints.look(tmp_path / "shop.yaml", "web", cast(Connector, object())) == []
    assert not (tmp_path / "shop.web.fingerprint.json").exists()
