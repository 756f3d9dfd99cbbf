"""What the blueprint maps beside a connector's own table: expressions, carried out on one object."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from counterfoil.hub.contract import BadPayload
from counterfoil.retail.expression import Scalar, Unfit, compiled
from counterfoil.retail.order import Order, Status
from counterfoil.retail.party import Account

E = TypeVar("E", Order, Account)
EXTRA = "extra."


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one system speaks: states of its own and ours for them; and by object, field to expression."""

    system: str = ""
    statuses: Mapping[str, Status] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


PLAIN = Dialect()


def read(
    dialect: Dialect, object_: str, state: E, body: Mapping[str, Any], clean: Callable[[str], str], part_of: str = ""
) -> E:
    """The `state` with the fields that the blueprint reads from the `body` itself; one that finds nothing stays.

    Texts go through `clean`; `part_of` is where fields without a dot belong. Raises BadPayload that names the row of
    the blueprint.
    """
    overlay = dialect.fields.get(object_)
    if not overlay:
        return state
    plain = json.loads(json.dumps(body, default=float))  # expressions know no Decimal
    parts: dict[str, dict[str, Any]] = {}
    own: dict[str, Scalar] = {}
    for name, text in overlay.items():
        found = _evaluated(dialect.system, object_, name, text, plain)
        if found is None:
            continue
        found = clean(found) if isinstance(found, str) else found
        if name.startswith(EXTRA):
            own[name.removeprefix(EXTRA)] = found
            continue
        if isinstance(found, bool):
            raise unfit(dialect.system, object_, name, "comes to true or false, and a text is wanted")
        part, dot, short = name.rpartition(".")
        parts.setdefault(part if dot else part_of, {})[short] = str(found)
    update: dict[str, Any] = dict(parts.pop("", {}))
    update |= {part: getattr(state, part).model_copy(update=values) for part, values in parts.items()}
    if own:
        update["extra"] = own
    return state.model_copy(update=update)


def written(dialect: Dialect, object_: str, state: Mapping[str, Any]) -> dict[str, Scalar]:
    """The system's own fields that the blueprint fills from the canonical `state`; those that come to nothing are
    left out. `state` is as JSON, by the object's name: {"order": …}. Raises BadPayload."""
    found = {
        name: _evaluated(dialect.system, object_, name, text, state)
        for name, text in dialect.fields.get(object_, {}).items()
    }
    return {name: value for name, value in found.items() if value is not None}


def unfit(system: str, object_: str, name: str, words: str) -> BadPayload:
    """A row of `mappings` that does not work on this object."""
    return BadPayload(
        "mapping_failed",
        f"The blueprint's mapping of {system}, {object_}, {name} does not work here: it {words}.",
        f"Correct mappings: {system}: {object_}: {name} in the blueprint, then retry.",
    )


def _evaluated(system: str, object_: str, name: str, text: str, data: Any) -> Scalar | None:
    try:
        return compiled(text).value(data)
    except Unfit as no:
        raise unfit(system, object_, name, str(no)) from no
