"""YAML text to plain data, with the line and column of every value.

Stricter and plainer than YAML 1.1: only `true` and `false` are booleans (so that `on:` is a key and `NO` a
country), only plain whole numbers are numbers, everything else is text as written. No aliases, no tags, no key
twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from counterfoil.blueprint.problems import BlueprintError, Path, Problem, described, dotted, plain, quoted

MAX_BYTES = 1_000_000
_MAX_DEPTH = 12  # a blueprint needs five
_WHAT = "a blueprint in YAML"


@dataclass
class Source:
    """What was read, and from where: `data` is made of dict, list, str, int, bool and None."""

    file: str
    data: Any = None
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    files: dict[Path, str] = field(default_factory=dict)  # of what stands in another file than `file`

    def at(self, path: Path) -> Any:
        """The value at `path`, None if there is none."""
        value = self.data
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def problem(
        self, path: Path, expected: str, found: str | None = None, hint: str = "", at_key: bool = False
    ) -> Problem:
        """A problem of the value at `path` (or of its key); `found` is by default that value.

        Where nothing stands at `path`, the nearest thing around it is pointed at.
        """
        found = described(self.at(path)) if found is None else found
        place: tuple[int, int] | None = self.keys.get(path) if at_key else None
        around = path
        while place is None and around:
            place = self.values.get(around)
            around = around if place else around[:-1]
        line, column = place or self.values.get((), (0, 0))
        # names of the blueprint may stand in all of them
        words = (plain(text) for text in (dotted(path), found, expected, hint))
        return Problem(self.files.get(around, self.file), line, column, *words)

    def texts(self, path: Path = ()) -> Iterator[tuple[Path, str]]:
        """Every text at or below `path`."""
        value = self.at(path)
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, dict | list):
            for step in value if isinstance(value, dict) else range(len(value)):
                yield from self.texts((*path, step))


class _Refused(yaml.MarkedYAMLError):
    """Valid YAML that a blueprint does not use."""


class _Loader(yaml.SafeLoader):
    """Composes nodes with our own idea of numbers and booleans, without aliases, anchors and tags."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """One node and all below it. Raises for what a blueprint does not use."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        found, hint = "", ""
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            found, hint = "an anchor (&) or alias (*)", 'write the value out, or "*" in quotes'
        elif getattr(event, "tag", None) is not None:
            found, hint = "a tag (!)", "put the text in quotes"
        elif self.depth > _MAX_DEPTH:
            found = f"something nested deeper than {_MAX_DEPTH} levels"
        if found:
            raise _Refused(problem=found, problem_mark=event.start_mark, note=hint)
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(~|null|Null|NULL|)\Z"), ["~", "n", "N", ""])
# Canonical whole numbers only: 007 is a journal code, 1_000 and 0x10 are typing errors, 10:30 is a time.
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?(0|[1-9][0-9]{0,17})\Z"), list("-0123456789"))


def read(text: str | bytes, file: str) -> Source:
    """The data in `text`; keys given twice stand in its `problems`. Raises BlueprintError if it is unreadable."""
    text = _decoded(text, file)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise BlueprintError([_syntax_problem(error, text, file)]) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        found = f"the character U+{ord(text[error.position]):04X}"
        raise BlueprintError([Problem(file, line, column, "", found, "printable text")]) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML lets these through for an escape such as "\UFFFFFFFF" or an absurd %YAML version.
        hint = str(error).split("\n", 1)[0]
        line, column = loader.line + 1, loader.column + 1
        raise BlueprintError([Problem(file, line, column, "", "text that is not valid YAML", _WHAT, hint)]) from None
    if node is None:
        raise BlueprintError([Problem(file, 1, 1, "", "an empty file", _WHAT, "counterfoil init writes one")])
    source = Source(file)
    source.values[()] = _place(node)
    source.data = _plain(node, (), source)
    return source


def _decoded(text: str | bytes, file: str) -> str:
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "replace"))
    if size > MAX_BYTES:
        raise BlueprintError([Problem(file, 1, 1, "", "more than 1 MB", "a blueprint of at most 1 MB")])
    text = _utf8(text, file) if isinstance(text, bytes) else text
    return text.removeprefix("\ufeff")


def _utf8(raw: bytes, file: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        found = f"the byte 0x{raw[error.start]:02x}, which is not UTF-8"
        raise BlueprintError([Problem(file, line, column, "", found, "UTF-8 text", "save the file as UTF-8")]) from None


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    said, advice = str(error.problem or "cannot be read"), ""
    mark = error.problem_mark or error.context_mark
    if "end of stream" in said:  # a quote left open: its beginning says more than the end of the file
        mark = error.context_mark or mark
    if said.startswith("but ") and error.context:
        said = f"{error.context}, {said}"
    row, column = (mark.line, mark.column) if mark else (-1, -1)
    if isinstance(error, _Refused):
        return Problem(file, row + 1, column + 1, "", said, _WHAT, error.note or "")
    lines = text.splitlines()
    line = lines[row] if 0 <= row < len(lines) else ""
    if "'\\t'" in said or line[: len(line) - len(line.lstrip())].count("\t"):
        advice = "; indent with spaces, not tabs"
    elif "'{'" in said and "${" in line:
        advice = '; between { and } write "${NAME}" in quotes'
    elif error.context and "alias" in error.context:
        advice = '; write "*" in quotes'
    elif "cannot start any token" in said or "mapping values are not allowed" in said:
        advice = "; put the text in quotes"
    return Problem(file, row + 1, column + 1, "", "text that is not valid YAML", _WHAT, said + advice)


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _plain(node: yaml.Node, path: Path, source: Source) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, source)
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            source.values[(*path, index)] = _place(item)
            items.append(_plain(item, (*path, index), source))
        return items
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return node.value.lower() == "true"
    return int(node.value) if kind == "int" else str(node.value)


def _mapping(node: yaml.MappingNode, path: Path, source: Source) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            line, column = _place(key)
            source.problems.append(
                Problem(source.file, line, column, dotted(path), "a list or mapping as a key", "text as a key")
            )
            continue
        below = (*path, key.value)
        if key.value in result:
            line, column = _place(key)
            found, hint = f"the key {quoted(key.value)} twice", f"first on line {source.keys[below][0]}"
            source.problems.append(Problem(source.file, line, column, dotted(below), found, "each key once", hint))
            continue
        source.keys[below] = _place(key)
        # A mapping or list is pointed at by its key, a single value by itself.
        source.values[below] = _place(value if isinstance(value, yaml.ScalarNode) and value.value else key)
        result[key.value] = _plain(value, below, source)
    return result
