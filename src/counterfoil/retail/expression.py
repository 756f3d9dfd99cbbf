"""Expressions of the blueprint over a body or a state: JMESPath, compiled once, bounded in length and in work. Pure.

JMESPath (jmespath.org) has no side effects and no loops of its own, but lists can be multiplied by it: a value of
more than MAX_SIZE items, or more than MAX_STEPS steps, end an evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

import jmespath
from jmespath import exceptions, functions, visitor

MAX_LENGTH = 500
MAX_STEPS = 50_000
MAX_SIZE = 50_000
MAX_TEXT = 10_000  # characters of a result

Scalar = str | int | bool
_UNPARSABLE = (exceptions.JMESPathError, ValueError, KeyError, IndexError, RecursionError)


class BadExpression(ValueError):
    """This is no expression that could be used; the message says why, `position` where (from 1; 0: nowhere)."""

    def __init__(self, words: str, position: int = 0) -> None:
        super().__init__(f"{words}, at character {position}" if position else words)
        self.position = position


class Unfit(ValueError):
    """An expression came to something that cannot be used; the message says what, in plain words."""


class _Functions(functions.Functions):  # type: ignore[misc]
    """JMESPath's own, but for texts of whole structures, which could be of any size."""

    @functions.signature({"types": ["string", "number", "boolean"]})  # type: ignore[untyped-decorator]
    def _func_to_string(self, arg: Any) -> str:
        return arg if isinstance(arg, str) else str(arg).lower() if isinstance(arg, bool) else str(arg)


class _Interpreter(visitor.TreeInterpreter):  # type: ignore[misc]
    """Counts its steps, and looks at the size of what each comes to."""

    def __init__(self) -> None:
        super().__init__(jmespath.Options(custom_functions=_Functions()))
        self.steps = 0

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        """One step."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise Unfit(f"takes more than {MAX_STEPS:,} steps")
        found = super().visit(node, *args, **kwargs)
        if isinstance(found, list | str | dict) and len(found) > MAX_SIZE:
            raise Unfit(f"makes something of more than {MAX_SIZE:,} items")
        return found


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. `kinds` are the kinds of value it can come to as far as it shows: empty for any."""

    text: str
    kinds: frozenset[str]
    _tree: Any = field(repr=False, compare=False)

    def value(self, data: Any) -> Scalar | None:
        """What it finds in `data` (as JSON is read): a text, a whole number, true or false, or None for nothing.

        A number with a point becomes a text. Raises Unfit for anything else, and for what does not evaluate.
        """
        try:
            found = _Interpreter().visit(self._tree, data)
        except Unfit:
            raise
        except exceptions.JMESPathTypeError as error:  # its own words would show the value
            raise Unfit(f"gives {error.function_name}() {_A.get(error.actual_type, 'something unfit')}") from None
        except (*_UNPARSABLE, TypeError, AttributeError, ArithmeticError):
            raise Unfit("does not fit what is there") from None
        if isinstance(found, float | Decimal):
            return f"{Decimal(str(found)).normalize():f}" if Decimal(str(found)).is_finite() else None
        if isinstance(found, str) and len(found) > MAX_TEXT:
            raise Unfit(f"comes to a text of more than {MAX_TEXT:,} characters")
        if isinstance(found, int) and abs(found) >= 2**63:
            raise Unfit("comes to a number that is too large")
        if found is None or isinstance(found, str | int):
            return found
        raise Unfit(f"comes to {'a list' if isinstance(found, list) else 'a mapping'}, not to one value")


_A = {"array": "a list", "object": "a mapping", "null": "nothing", "string": "a text", "number": "a number"}
_A["boolean"] = "true or false"


@lru_cache(maxsize=1024)
def compiled(text: str) -> Expression:
    """The expression ready for use. Raises BadExpression with words and the position of what is wrong."""
    if not text.strip():
        raise BadExpression("it is empty")
    if len(text) > MAX_LENGTH:
        raise BadExpression(f"at most {MAX_LENGTH} characters")
    try:
        tree = jmespath.compile(text).parsed
    except exceptions.LexerError as error:
        raise BadExpression(str(error.message), error.lexer_position + 1) from error
    except exceptions.ParseError as error:
        words = "it is cut short" if isinstance(error, exceptions.IncompleteExpressionError) else "not expected here"
        token = f"{error.token_value!r} is " if error.token_value and not words.startswith("it") else ""
        raise BadExpression(f"{token}{words}", min(error.lex_position, len(text)) + 1) from error
    except _UNPARSABLE as error:
        raise BadExpression("it cannot be read") from error
    unknown = sorted(set(_called(tree)) - set(_Functions.FUNCTION_TABLE))
    if unknown:
        raise BadExpression(f"there is no function {unknown[0]}()", text.find(unknown[0]) + 1)
    return Expression(text, frozenset(_kinds(tree)), tree)


def _called(tree: Any) -> Iterator[str]:
    if tree["type"] == "function_expression":
        yield tree["value"]
    for child in tree.get("children", ()):
        if isinstance(child, dict) and "type" in child:
            yield from _called(child)


_LISTS = ("projection", "filter_projection", "value_projection", "flatten", "multi_select_list")
_TRUTHS = ("comparator", "not_expression")
_LITERALS = {list: "list", dict: "mapping", bool: "boolean"}


def _kinds(tree: Any) -> set[str]:
    """What it comes to where its form tells: list, mapping, boolean, text. Nothing where it does not."""
    kind, children = tree["type"], tree.get("children", ())
    if kind in _LISTS:
        return {"list"}
    if kind in _TRUTHS:
        return {"boolean"}
    if kind == "multi_select_dict":
        return {"mapping"}
    if kind == "pipe":
        return _kinds(children[-1])
    if kind in ("or_expression", "and_expression"):
        found = [_kinds(child) for child in children]
        return set().union(*found) if all(found) else set()
    return {_LITERALS[type(tree["value"])]} if kind == "literal" and type(tree["value"]) in _LITERALS else set()
