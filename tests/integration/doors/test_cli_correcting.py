"""`counterfoil exceptions correct`: the values, a look first, all alike; what cannot be is said with its way out."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from tests.fakes import House, payload, subject
from tests.integration.doors.test_cli_exceptions import BLUEPRINT
from tests.picky import RIGHT, STREET, WRONG, refusing
from typer.testing import CliRunner

from counterfoil.doors.cli import app
from counterfoil.hub.store import Store


class Wrong:
    """A blueprint with a store in which two orders to a street that does not exist are exceptions 1 and 2."""

    def __init__(self, folder: Path) -> None:
        self.file, self.url = folder / "hub.yaml", f"sqlite:///{folder}/hub.db"
        self.file.write_text(BLUEPRINT.format(store=folder / "hub.db"))
        self.made = asyncio.run(self.work(*(payload(n) for n in (1, 2))))

    async def work(self, *bodies: bytes) -> list[str]:
        """A hub that hears of these; what the ERP made."""
        store = Store(self.url)
        house = House(store)
        house.erp.always |= dict.fromkeys(map(subject, (1, 2, 3)), refusing(house.erp))
        await house.hear(*bodies)
        await store.close()
        return house.erp.made

    def run(self, *words: str, code: int = 0) -> Result:
        ended = CliRunner().invoke(app, [*words, "-b", str(self.file)])
        assert ended.exit_code == code, ended.output
        return ended


@pytest.fixture
def wrong(tmp_path: Path, sqlite_template: Path) -> Wrong:
    shutil.copy(sqlite_template, tmp_path / "hub.db")
    return Wrong(tmp_path)


def test_a_value_is_listed_looked_at_and_corrected_in_all_alike(wrong: Wrong) -> None:
    correct = ("exceptions", "correct", "1")
    assert WRONG in wrong.run(*correct).stdout
    listed = json.loads(wrong.run(*correct, "--json").stdout)
    assert {"path": STREET, "source": WRONG, "told": WRONG} in listed
    looked = wrong.run(*correct, f"{STREET}={RIGHT}", "--dry-run").stdout
    assert f"{STREET}: '{WRONG}' becomes '{RIGHT}'" in looked
    assert "1 would be told so and tried again. It fits 1 more like it (--all-alike). Nothing was changed." in looked
    would = json.loads(wrong.run(*correct, f"{STREET}={RIGHT}", "--dry-run", "--all-alike", "--json").stdout)
    assert (would["alike"], would["done"], would["told"]["billing"]["street"]) == ([2], [], RIGHT)
    assert "2 will be tried again" in wrong.run(*correct, f"{STREET}={RIGHT}", "--all-alike", "--why", "called").stdout
    assert asyncio.run(wrong.work()) == [subject(1), subject(2)]
    shown = wrong.run("show", "order", "N1").stdout
    assert "corrected:" in shown
    assert "becomes" in shown


def test_a_value_that_looks_like_markup_is_listed_as_it_is(wrong: Wrong) -> None:
    asyncio.run(wrong.work(payload(3, payment="[/x] [rear]")))
    assert "[/x] [rear]" in wrong.run("exceptions", "correct", "3").stdout


@pytest.mark.parametrize(
    ("value", "code", "says"),
    [("total=1 EUR", 1, "Change it in shop"), (STREET, 2, "is not PATH=VALUE"), ("billing.contry=FR", 1, "Near it")],
)
def test_what_cannot_be_corrected_is_said(wrong: Wrong, value: str, code: int, says: str) -> None:
    assert says in wrong.run("exceptions", "correct", "1", value, code=code).stderr
