"""Calendars of the Odoo stand-in: events, and how their attendees answered.

As in Odoo, whoever is put on an event becomes an attendee of it; who makes it attends it where nobody is named, and
accepts by that. A whole day has its date in `start` and `stop`, at 08:00 and 18:00 of no zone.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from counterfoil_sandbox.odoo_schema import AFTER_SAVE, BEFORE_CREATE, CASCADE, COMPUTED, Row, validation_error
from counterfoil_sandbox.odoo_store import Store

EVENT, ATTENDEE = "calendar.event", "calendar.attendee"
CASCADE.add((ATTENDEE, "event_id"))


def _defaults(store: Store, vals: Row) -> None:
    mine = store.rows["res.users"][store.uid]["partner_id"]
    for name, value in (("active", True), ("show_as", "busy"), ("user_id", store.uid), ("partner_ids", [mine])):
        vals.setdefault(name, value)
    if vals.get("allday") and vals.get("start_date"):
        vals["start"] = f"{vals['start_date'][:10]} 08:00:00"
        vals["stop"] = f"{(vals.get('stop_date') or vals['start_date'])[:10]} 18:00:00"
    if vals.get("start") and not vals.get("stop"):
        hours = timedelta(hours=vals.get("duration") or 1)
        vals["stop"] = str(datetime.fromisoformat(vals["start"]) + hours)


def _saved(store: Store, row: Row, changed: set[str]) -> None:
    if changed & {"start", "stop", "allday"}:
        if not row["allday"] and row["stop"] < row["start"]:
            raise validation_error("The ending date and time cannot be earlier than the starting date and time.\n")
        dates = {"start_date": row["start"][:10], "stop_date": row["stop"][:10]} if row["allday"] else {}
        store.set(EVENT, row["id"], **{"start_date": False, "stop_date": False, **dates})
    if "partner_ids" in changed:
        there = {store.rows[ATTENDEE][i]["partner_id"]: i for i in store.value(EVENT, row, "attendee_ids")}
        gone = [number for partner, number in there.items() if partner not in row["partner_ids"]]
        if gone:
            store.unlink(ATTENDEE, gone)
        for partner in row["partner_ids"]:
            if partner not in there:
                store.create(ATTENDEE, {"event_id": row["id"], "partner_id": partner})


def _invited(store: Store, vals: Row) -> None:
    mine = store.rows["res.users"][store.uid]["partner_id"]
    vals.setdefault("state", "accepted" if vals.get("partner_id") == mine else "needsAction")


BEFORE_CREATE[EVENT] = _defaults
AFTER_SAVE[EVENT] = _saved
BEFORE_CREATE[ATTENDEE] = _invited
COMPUTED[ATTENDEE, "display_name"] = lambda store, row: store.display_name("res.partner", row["partner_id"])
COMPUTED[ATTENDEE, "email"] = lambda store, row: store.rows["res.partner"][row["partner_id"]]["email"]
