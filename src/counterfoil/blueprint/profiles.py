"""Profiles: what is otherwise for development, test or production, merged into the blueprint key by key before it is
checked. They stand under `profiles`, or in a file beside it: `shop.test.yaml` beside `shop.yaml`, which comes last.

A mapping is merged with the one it meets, anything else takes its place, nothing (`~`) takes the key out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from counterfoil.blueprint import yamlread
from counterfoil.blueprint.problems import BlueprintError, Path, choice, nearest, quoted
from counterfoil.blueprint.yamlread import Source

PROFILES = "profiles"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
MOST = 20
"""Profiles in one blueprint: each is looked at whenever it is read."""
_A_NAME = "a name of letters, digits, - and _, at most 40 long"


def names_in(source: Source) -> list[str]:
    """The profiles that stand in the blueprint itself and can be merged."""
    declared = source.at((PROFILES,))
    if not isinstance(declared, dict) or len(declared) > MOST:
        return []
    return [name for name, data in declared.items() if _mergeable(name, data)]


def declared(path: FilePath) -> list[str]:
    """All profiles of the blueprint's file, in it and beside it; those that can be made out."""
    try:
        with path.open("rb") as file:
            inside = names_in(yamlread.read(file.read(yamlread.MAX_BYTES + 1), str(path)))
    except (OSError, ValueError, BlueprintError):
        return []
    return list(dict.fromkeys([*inside, *beside(path)]))


def beside(path: FilePath) -> dict[str, FilePath]:
    """The profiles in files beside the blueprint's, by name."""
    try:
        found = sorted(path.parent.glob("*"))
    except OSError:
        return {}
    head, tail = f"{path.stem}.", path.suffix
    named = {file.name[len(head) : len(file.name) - len(tail)]: file for file in found if _fits(file.name, head, tail)}
    return {name: file for name, file in named.items() if _NAME.fullmatch(name)}


def merge(source: Source, profile: str, overlay: Source | None) -> None:
    """Put the profile into the source's data; what is wrong with it is added to the source's problems.

    `overlay` is what its file beside the blueprint holds. The section `profiles` itself is taken out.
    """
    data = source.data
    if not isinstance(data, dict):
        return
    inside = names_in(source)
    for path, expected, found, hint in _wrong(source):
        source.problems.append(source.problem(path, expected, found, hint, at_key=found is not None))
    if profile and profile not in inside and overlay is None:
        expected = f"the profile {profile}: {choice(inside)}" if inside else f"the profile {profile}"
        hint = (
            nearest(profile, inside) or f"declare it there, or in a file beside this one that ends in .{profile}.yaml"
        )
        source.problems.append(source.problem((PROFILES,), expected, ", ".join(inside) or "no profiles", hint))
    declared = data.pop(PROFILES, None)
    if profile in inside and isinstance(declared, dict):
        _into(source, (), declared[profile], source, (PROFILES, profile))
    if overlay is not None:
        source.problems.extend(overlay.problems)
        if isinstance(overlay.data, dict):
            _into(source, (), overlay.data, overlay, ())
        else:
            source.problems.append(overlay.problem((), "a mapping with the keys that differ"))


def _fits(name: str, head: str, tail: str) -> bool:
    return name.startswith(head) and name.endswith(tail) and len(name) > len(head) + len(tail)


def _mergeable(name: str, data: Any) -> bool:
    return bool(_NAME.fullmatch(name)) and isinstance(data, dict) and PROFILES not in data


def _wrong(source: Source) -> list[tuple[Path, str, str | None, str]]:
    """(path, expected, found, hint) of what cannot be merged; found is None for the value itself."""
    declared = source.at((PROFILES,))
    if declared is None:
        return []
    if not isinstance(declared, dict):
        return [((PROFILES,), "a mapping of names to what is otherwise there", None, "")]
    wrong: list[tuple[Path, str, str | None, str]] = []
    if len(declared) > MOST:
        wrong.append(((PROFILES,), f"at most {MOST} profiles", str(len(declared)), ""))
    for name, data in declared.items():
        if not _NAME.fullmatch(name):
            wrong.append(((PROFILES, name), _A_NAME, quoted(name), ""))
        elif not isinstance(data, dict):
            wrong.append(((PROFILES, name), "a mapping with the keys that differ", None, "or {} if none does"))
        elif PROFILES in data:
            wrong.append(((PROFILES, name, PROFILES), "other keys", quoted(PROFILES), "a profile has none of its own"))
    return wrong


def _into(source: Source, onto: Path, data: Mapping[str, Any], origin: Source, at: Path) -> None:
    """Merge the mapping that stands in `origin` at a path into the one in `source` at another."""
    target = source.at(onto)
    for key, value in data.items():
        here, there = (*onto, key), (*at, key)
        if isinstance(value, dict) and isinstance(target.get(key), dict) and value:
            _into(source, here, value, origin, there)
            continue
        _from(source, here, origin, there, value)
        if value is None:
            target.pop(key, None)
        else:
            target[key] = value


def _from(source: Source, here: Path, origin: Source, there: Path, value: Any) -> None:
    """What stands `here` now, and all below it, comes from `there`."""
    for places, others in ((source.keys, origin.keys), (source.values, origin.values)):
        if there in others:
            places[here] = others[there]
    source.files[here] = origin.file
    if isinstance(value, dict | list):
        for step in value if isinstance(value, dict) else range(len(value)):
            _from(source, (*here, step), origin, (*there, step), value[step])
