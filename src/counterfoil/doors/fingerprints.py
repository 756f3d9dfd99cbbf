"""What a system is made of, kept beside the blueprint: so that the doctor can say what changed there since.

An update of the ERP or a new module there explains more failures than anything in here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from counterfoil.hub.contract import Connector, Failure, Finding, Mark

SHOWN = 20
"""Changes that are told one by one."""

CHECK = "changed since the last look"


@runtime_checkable
class HasFingerprint(Protocol):
    """A connector that can say what its system is made of: versions, modules, fields. Nothing of it is secret."""

    async def fingerprint(self) -> Mapping[str, Any]:
        """Nested mappings of plain values. Raises Failure."""


def file_of(blueprint: Path, system: str) -> Path:
    """`shop.odoo.fingerprint.json` beside `shop.yaml`."""
    return blueprint.with_name(f"{blueprint.stem}.{system}.fingerprint.json")


async def look(blueprint: Path, system: str, connector: Connector) -> list[Finding]:
    """What changed since the last look, which this one replaces; nothing for a system without a fingerprint."""
    if not isinstance(connector, HasFingerprint):
        return []
    try:
        now = _plain(await connector.fingerprint())
    except Failure:  # the doctor's other findings say why it cannot be asked
        return []
    file = file_of(blueprint, system)
    before, at = _read(file)
    try:
        _write(file, now)
    except OSError as error:
        words = f"{file} cannot be written: {error.strerror}"
        return [Finding(CHECK, Mark.WARNING, words, "Let the doctor write beside the blueprint.")]
    if before is None:
        return [Finding(CHECK, Mark.OK, f"looked at for the first time, kept in {file.name}")]
    found = list(changes(before, now))
    if not found:
        return [Finding(CHECK, Mark.OK, f"nothing since {at}")]
    shown = [*found[:SHOWN], *([f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else [])]
    remedy = "If something fails since then, look here first; then run the doctor's other findings down."
    return [
        Finding(f"{CHECK} ({at})", Mark.WARNING, line, remedy if number == 0 else "")
        for number, line in enumerate(shown)
    ]


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """`modules.sale_stock: 19.0.1.0 → 19.0.1.1`, in the order of their names."""
    old, new = dict(_flat(before)), dict(_flat(now))
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield f"{name}: new, {new[name]}"
        elif name not in new:
            yield f"{name}: gone, was {old[name]}"
        elif old[name] != new[name]:
            yield f"{name}: {old[name]} → {new[name]}"


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _flat(below, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and all(isinstance(item, str | int) for item in value):
        for item in value:  # a list of names: each is there or not
            yield f"{path}.{item}" if path else str(item), "there"
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """As it will be read from the file: tuples are lists there, and keys are text."""
    plain: dict[str, Any] = json.loads(json.dumps(value, sort_keys=True, default=str))
    return plain


def _read(file: Path) -> tuple[dict[str, Any] | None, str]:
    """The last fingerprint and when it was taken; None if there is none that can be read."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return dict(kept["fingerprint"]), str(kept["at"])
    except (OSError, ValueError, TypeError, KeyError):
        return None, ""


def _write(file: Path, fingerprint: Mapping[str, Any]) -> None:
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    text = json.dumps({"at": at, "fingerprint": fingerprint}, indent=1, sort_keys=True, ensure_ascii=False)
    beside = file.with_suffix(".new")
    beside.write_text(text + "\n", encoding="utf-8")
    os.replace(beside, file)
