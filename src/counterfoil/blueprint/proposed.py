"""A blueprint proposed from afar, as text: examined without telling anything of the machine that the hub runs on.

A `${NAME}` in an address stands for what is in force at that place, and for nothing else: whoever may propose must not
learn what the hub's environment holds by having it looked up. Secrets stay references, as ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from counterfoil.blueprint import profiles, yamlread
from counterfoil.blueprint.catalogue import Catalogue
from counterfoil.blueprint.load import Examined, examine_text
from counterfoil.blueprint.model import Blueprint
from counterfoil.blueprint.problems import BlueprintError, Path
from counterfoil.blueprint.render import as_data
from counterfoil.blueprint.secrets import REFERENCE
from counterfoil.blueprint.values import Secret
from counterfoil.blueprint.yamlread import Source

FILE = "proposed"
"""What problems call it."""


def examined(
    text: str, *, known: Catalogue, in_force: Blueprint, environ: Mapping[str, str], profile: str | None = None
) -> Examined:
    """Problems and warnings of the text with the profile; None: none. `environ` is the hub's.

    A reference that is not what is in force at its place is a problem: nobody could see what they approve.
    """
    try:
        source = yamlread.read(text, FILE)
    except BlueprintError as error:
        return Examined(None, error.problems)
    seen = _in_force(source, as_data(in_force), environ)
    result = examine_text(text, known=known, environ=seen, file=FILE, profile=profile or "")
    if result.blueprint is None:
        return result
    hint = "write it out, or propose it on the hub's own machine: counterfoil blueprint propose"
    unknown = [
        source.problem(path, "a value, or the ${NAME} that is in force here", hint=hint)
        for path in _unresolved(result.blueprint)
    ]
    return replace(result, blueprint=None if unknown else result.blueprint, problems=tuple(unknown))


def profiles_in(text: str) -> list[str]:
    """The profiles that the text itself declares; none where it cannot be read."""
    try:
        return profiles.names_in(yamlread.read(text, FILE))
    except BlueprintError:
        return []


def _in_force(source: Source, data: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the environment whose values stand, where the text has them, in what is in force anyway."""
    seen: dict[str, str] = {}
    for path, text in source.texts():
        names = REFERENCE.findall(text)
        place = path[2:] if path[:1] == (profiles.PROFILES,) else path
        if names and all(name in environ for name in names):
            resolved = REFERENCE.sub(lambda match: environ[match[1]], text)
            if _at(data, place) == resolved:
                seen |= {name: environ[name] for name in names}
    return seen


def _at(data: Any, path: Path) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data


def _unresolved(blueprint: Blueprint) -> list[Path]:
    """Where an address of a system, or a setting of one, still has a reference in it."""
    places: list[tuple[Path, Any]] = [(("public_url",), blueprint.public_url)]
    for name, system in blueprint.systems.items():
        given = {"url": system.url, **system.settings}
        places += [(("systems", name, key), value) for key, value in given.items() if not isinstance(value, Secret)]
    return [path for path, value in places if REFERENCE.search(str(value or ""))]
