"""The wizard by which two or three customers of the Odoo stand-in become one."""

from __future__ import annotations

from counterfoil_sandbox.odoo_schema import BEFORE_CREATE, COMPUTED, SCHEMA, Row, missing_error, user_error
from counterfoil_sandbox.odoo_store import Store

WIZARD, PARTNER = "base.partner.merge.automatic.wizard", "res.partner"
TOO_MANY = (
    "For safety reasons, you cannot merge more than 3 contacts together. You can re-open the wizard several times if "
    "needed."
)


def _defaults(store: Store, vals: Row) -> None:
    if "partner_ids" not in vals and store.context.get("active_model") == PARTNER:
        vals["partner_ids"] = [(6, 0, store.context.get("active_ids") or [])]
        vals.setdefault("state", "selection")
    vals.setdefault("state", "option")


def merge(store: Store, wizard_id: int) -> Row:
    """action_merge: what points to the others points to the kept one, which takes what it lacks; they are deleted."""
    wizard = store.rows[WIZARD].get(wizard_id)
    if wizard is None:
        raise missing_error(WIZARD, wizard_id)
    action = {
        "type": "ir.actions.act_window",
        "res_model": WIZARD,
        "res_id": wizard_id,
        "view_mode": "form",
        "target": "new",
    }
    chosen = [number for number in wizard["partner_ids"] if number in store.rows[PARTNER]]
    if len(chosen) > 3:
        raise user_error(TOO_MANY)
    if len(chosen) < 2:
        return action
    kept = wizard["dst_partner_id"] or max(chosen)
    for number in chosen:
        parents = set()
        parent = store.rows[PARTNER][number]["parent_id"]
        while parent:
            parents.add(parent)
            parent = store.rows[PARTNER][parent]["parent_id"]
        if parents & set(chosen):
            raise user_error("You cannot merge a contact with one of his parent.")
    for number in chosen:
        if number != kept:
            _merge_one(store, number, kept)
    store.set(WIZARD, wizard_id, state="finished")
    return action


def _merge_one(store: Store, gone: int, kept: int) -> None:
    source, target = store.rows[PARTNER][gone], store.rows[PARTNER][kept]
    for model, spec in SCHEMA.items():
        links = [
            (name, field["type"])
            for name, field in spec["fields"].items()
            if field.get("relation") == PARTNER and field["store"] and (model, name) not in COMPUTED
        ]
        for name, kind in links:
            if kind == "one2many" or model == WIZARD or (model, name) == (PARTNER, "commercial_partner_id"):
                continue
            for row in list(store.rows[model].values()):
                value = row[name]
                if kind == "many2one" and value == gone:
                    store.set(model, row["id"], **{name: kept})
                elif kind == "many2many" and gone in value:
                    moved = list(dict.fromkeys(kept if one == gone else one for one in value))
                    store.set(model, row["id"], **{name: moved})
    for model in ("ir.model.data", "ir.attachment", "mail.message"):
        kind = "res_model" if model == "ir.attachment" else "model"
        for number in list(store.children[model, "res_id"].get(gone, ())):
            if store.rows[model][number][kind] == PARTNER:
                store.touch(model, number, res_id=kept)
    taken = {
        name: source[name]
        for name, field in store.fields(PARTNER).items()
        if field["store"] and field["type"] not in ("one2many", "many2many") and source[name] and not target[name]
        and name not in ("parent_id", "email_normalized") and (PARTNER, name) not in COMPUTED
    }  # fmt: skip
    store.put(PARTNER, gone, None)
    if taken.get("active") is not None:
        taken.pop("active")
    store.write(PARTNER, [kept], taken)
    children = list(store.children[PARTNER, "parent_id"].get(kept, ()))
    for child in children:
        store.write(PARTNER, [child], {"parent_id": kept})


BEFORE_CREATE[WIZARD] = _defaults
