"""What of a product in the shop stays when we write our part: its other categories, images and attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from counterfoil.connectors.woocommerce.places import Row
from counterfoil.connectors.woocommerce.product_fields import CATEGORY, MADE, Content, meta
from counterfoil.connectors.woocommerce.reading import clean
from counterfoil.retail.product import Image

_ATTRIBUTE = ("id", "name", "position", "visible", "variation", "options")


def ours(row: Row | None) -> bool:
    """Whether the hub made this product; one it found in the shop keeps the options the shop gave it."""
    return row is None or meta(row, MADE) == "1"


def categories_of(row: Row | None, category: int) -> list[Content]:
    """Our category instead of our last one; those that the shop added itself stay. The shop takes the list whole."""
    known = _ids(row, "categories")
    before = meta(row, CATEGORY) if row is not None else ""
    if ours(row) and not before:  # what the shop gives a product that has none
        known = []
    return [{"id": number} for number in dict.fromkeys([category, *(n for n in known if str(n) != before)])]


def images_of(row: Row | None, image: Image) -> list[Content]:
    """Our image in front, where ours was; the gallery behind it stays."""
    gallery = _ids(row, "images")[1:] if row is not None else []
    return [{"src": image.url}, *({"id": number} for number in gallery)]


def kept_attributes(row: Row | None, wanted: list[Content]) -> Content:
    """The attributes of a product that the hub made, with those that only describe it. The shop takes the list whole.

    Of a product found in the shop they stay as they are, until a variation is missing there.
    """
    if not (ours(row) or (row is not None and row.get("type") == "simple")):
        return {}
    kept = [_sent(entry) for entry in _attributes(row) if entry.get("variation") is not True]
    return {"attributes": [*wanted, *kept]}


def extended(row: Row, options: Mapping[str, list[str]]) -> list[Content] | None:
    """The shop's own attributes with these options among theirs; None where it varies by something else."""
    entries = _attributes(row)
    varied = {clean(str(entry.get("name", ""))) for entry in entries if entry.get("variation") is True}
    if varied != set(options):
        return None
    rows = []
    for entry in entries:
        sent = _sent(entry)
        known = [clean(str(option)) for option in sent.get("options") or []]
        more = options.get(clean(str(entry.get("name", ""))), []) if entry.get("variation") is True else []
        rows.append({**sent, "options": [*known, *(option for option in more if option not in known)]})
    return rows


def _attributes(row: Row | None) -> list[Mapping[str, Any]]:
    entries = row.get("attributes") if row is not None else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _sent(entry: Mapping[str, Any]) -> Content:
    """An attribute as it is written back: a global one goes by its id, one of the product by its name."""
    left_out = "name" if entry.get("id") else "id"
    return {name: entry[name] for name in _ATTRIBUTE if name in entry and name != left_out}


def _ids(row: Row | None, name: str) -> list[int]:
    entries: Iterable[Any] = (row.get(name) if row is not None else None) or []
    return [entry["id"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), int)]
