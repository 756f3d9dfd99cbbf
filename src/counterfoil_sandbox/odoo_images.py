"""Images of articles in the Odoo stand-in: kept as attachments, told apart by their checksum."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

from counterfoil_sandbox.odoo_schema import AFTER_SAVE, BEFORE_CREATE, COMPUTED, HIDDEN, Row, value_error
from counterfoil_sandbox.odoo_store import Store

ATTACHMENT = "ir.attachment"
KINDS = ((b"\x89PNG", "image/png"), (b"\xff\xd8", "image/jpeg"), (b"GIF8", "image/gif"), (b"RIFF", "image/webp"))


def image(store: Store, model: str, number: int, field: str) -> Row | None:
    """The attachment behind an image field."""
    for candidate in store.children[ATTACHMENT, "res_id"].get(number, ()):
        row = store.rows[ATTACHMENT][candidate]
        if row["res_model"] == model and row["res_field"] == field:
            return row
    return None


def shown_image(store: Store, model: str, number: int, field: str) -> bytes:
    """Content of an image as the web shows it, a variant's own or else its template's; empty where there is none."""
    if model == "product.product" and field == "image_1920" and number in store.rows[model]:
        row = image(store, model, number, "image_variant_1920")
        template = store.rows[model][number]["product_tmpl_id"]
        row = row or image(store, "product.template", template, "image_1920")
    else:
        row = image(store, model, number, field)
    return base64.b64decode(row["datas"]) if row else b""


def _keep(store: Store, model: str, number: int, field: str, content: Any) -> None:
    old = image(store, model, number, field)
    if not content:
        if old:
            store.put(ATTACHMENT, old["id"], None)
        return
    values = {**_described(content), "res_model": model, "res_id": number, "res_field": field, "name": field}
    if old:
        store.touch(ATTACHMENT, old["id"], **values)
    else:
        store.create(ATTACHMENT, values)


def _described(content: Any) -> Row:
    try:
        raw = base64.b64decode(str(content), validate=False)
    except (binascii.Error, ValueError):
        raise value_error("This file could not be decoded as an image file.") from None
    kind = next((name for start, name in KINDS if raw.startswith(start)), "application/octet-stream")
    checksum = hashlib.sha1(raw, usedforsecurity=False).hexdigest()
    return {"datas": str(content), "checksum": checksum, "mimetype": kind, "file_size": len(raw)}


def _template_saved(store: Store, row: Row, changed: set[str]) -> None:
    before_template(store, row, changed)
    if "image_1920" in changed and (row["image_1920"] or len(changed) < len(store.fields("product.template"))):
        _keep(store, "product.template", row["id"], "image_1920", row["image_1920"])
        store.set("product.template", row["id"], image_1920=False)


def _variant_saved(store: Store, row: Row, changed: set[str]) -> None:
    before_variant(store, row, changed)
    row = store.rows["product.product"][row["id"]]
    new = len(changed) == len(store.fields("product.product"))
    if "image_variant_1920" in changed and (row["image_variant_1920"] or not new):
        _keep(store, "product.product", row["id"], "image_variant_1920", row["image_variant_1920"])
    if "image_1920" in changed and (row["image_1920"] or not new):
        _keep_shared(store, row)
    store.set("product.product", row["id"], image_1920=False, image_variant_1920=False)


def _keep_shared(store: Store, row: Row) -> None:
    """An image given to a variant is the template's, unless the template has one and more than one variant."""
    template = row["product_tmpl_id"]
    alone = len(store.children["product.product", "product_tmpl_id"].get(template, ())) == 1
    own = image(store, "product.product", row["id"], "image_variant_1920")
    if alone or not image(store, "product.template", template, "image_1920") or not (row["image_1920"] or own):
        _keep(store, "product.template", template, "image_1920", row["image_1920"])
        store.stir("product.template", [template])
        store.stir("product.product", store.children["product.product", "product_tmpl_id"].get(template, ()))
    else:
        _keep(store, "product.product", row["id"], "image_variant_1920", row["image_1920"])


def _attachment_defaults(_store: Store, vals: Row) -> None:
    vals.setdefault("type", "binary")
    if vals.get("datas") and "checksum" not in vals:
        vals.update(_described(vals["datas"]))


before_template, before_variant = AFTER_SAVE["product.template"], AFTER_SAVE["product.product"]
AFTER_SAVE["product.template"] = _template_saved
AFTER_SAVE["product.product"] = _variant_saved
BEFORE_CREATE[ATTACHMENT] = _attachment_defaults
HIDDEN[ATTACHMENT] = (("id", "res_field"), ("res_field", "=", False))  # fields' own files are not shown unasked
for _model, _field in (
    ("product.template", "image_1920"),
    ("product.product", "image_1920"),
    ("product.product", "image_variant_1920"),
):
    COMPUTED[_model, _field] = lambda store, row, m=_model, f=_field: (
        base64.b64encode(shown_image(store, m, row["id"], f)).decode() or False
    )
