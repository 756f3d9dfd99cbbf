"""Systems for people: what version each is and was, what the doctor found, and asking for a look now."""

from __future__ import annotations

import asyncio
import re
from zoneinfo import ZoneInfo

import pytest
from tests.admin_stage import cheap_passwords, client_of, somebody, token_for
from tests.conftest import ON_SQLITE
from tests.fakes import ERP, SHOP, Fake, House, blueprint, hasten, rows_of

from counterfoil.doors.admin.context import Admin
from counterfoil.doors.console.systems import listing, whole
from counterfoil.hub import looks, schedule, schema, versions
from counterfoil.hub.access.roles import Role
from counterfoil.hub.contract import Finding, Mark, Release
from counterfoil.hub.store import Store
from counterfoil.hub.views import systems
from counterfoil.hub.worker import streams_of

RIGHTS = Finding("rights", Mark.FAILED, "the user may not write <orders>", "Give the right.")
HOOK = Finding("webhook order.created", Mark.OK, "active")


class Erp(Fake):
    def __init__(self) -> None:
        super().__init__(ERP)
        self.version, self.goes_on, self.reached = "19.0", asyncio.Event(), asyncio.Event()

    async def versions(self) -> list[Release]:
        doubt = "" if self.version == "19.0" else "never tried"
        return [Release("Odoo", self.version, "18.0, 19.0", doubt, "Try it on a copy." if doubt else "")]

    async def doctor(self) -> list[Finding]:
        self.reached.set()
        await self.goes_on.wait()
        return [HOOK, RIGHTS]


def desk_of(store: Store, erp: Erp) -> Admin:
    connectors = {SHOP: Fake(SHOP), ERP: erp}
    return Admin(store, House(store).blueprint, connectors, streams_of(connectors))


@ON_SQLITE
async def test_who_may_act_on_flows_has_the_doctor_look_now(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others read what it found. One look at a time, and the audit log knows who wanted it."""
    cheap_passwords(monkeypatch)
    erp = Erp()
    desk = desk_of(store, erp)
    for role in (Role.OPERATOR, Role.VIEWER):
        await somebody(store, role.value, [role])
    await versions.ask_in_turn(store, ERP, erp)
    erp.version = "20.0"
    async with (
        client_of(desk, await token_for(store, "operator")) as operator,
        client_of(desk, await token_for(store, "viewer")) as viewer,
    ):
        first = asyncio.create_task(operator.post(f"/systems/{ERP}/look"))
        await erp.reached.wait()
        assert (await operator.post(f"/systems/{ERP}/look")).status_code == 409
        erp.goes_on.set()
        assert [each["check"] for each in (await first).json()] == [HOOK.check, RIGHTS.check]
        assert (await operator.post("/systems/crm/look")).status_code == 404
        assert (await viewer.post(f"/systems/{ERP}/look")).status_code == 403
        seen = next(each for each in (await viewer.get("/systems")).json() if each["name"] == ERP)
    assert [(each["version"], [b[0] for b in each["before"]]) for each in seen["versions"]] == [("20.0", ["19.0"])]
    assert [each["found"] for each in seen["looks"]["doctor"]["found"]] == [HOOK.found, RIGHTS.found]
    assert [row["subject"] for row in await rows_of(store, schema.audit) if row["act"] == "systems.look"] == [ERP]


@ON_SQLITE
async def test_the_page_says_version_history_and_findings(store: Store) -> None:
    erp = Erp()
    for erp.version in ("19.0", "20.0"):
        await hasten(store)
        await versions.ask_in_turn(store, ERP, erp)
    found = await systems.all_of(store, blueprint(), {})
    erp_view = next(each for each in found if each.name == ERP)
    changed = erp_view.versions[0].since
    said = text(listing(found, ZoneInfo("Europe/Paris"), changed + 7300))
    assert "Odoo 20.0 not tested 19.0 until 2 h 1 min ago" in said
    assert "19.0 until" not in text(listing(found, ZoneInfo("Europe/Paris"), changed + 8 * 86400))
    plain, asked = (whole(erp_view, ZoneInfo("Europe/Paris"), 0.0, may_look=may) for may in (False, True))
    said = text(plain)
    assert re.search(r"Odoo 20\.0 not tested .* 19\.0, .* 18\.0, 19\.0 never tried\. Try it on a copy\.", said)
    assert "The doctor has not looked at it yet." in said
    assert 'data-act="look"' in asked
    assert 'data-act="look"' not in plain


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


@ON_SQLITE
async def test_what_needs_somebody_stands_first_and_is_only_text(store: Store) -> None:
    await looks.keep(store, ERP, schedule.DOCTOR, [HOOK, RIGHTS])
    view = next(each for each in await systems.all_of(store, blueprint(), {}) if each.name == ERP)
    html = whole(view, ZoneInfo("Europe/Paris"), 0.0)
    assert 0 < html.find("may not write &lt;orders&gt;") < html.find(HOOK.check)
