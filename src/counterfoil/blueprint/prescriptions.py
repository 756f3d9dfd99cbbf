"""What is only sold on a prescription, what one must say, who sees and releases it, how long it is kept."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from counterfoil.blueprint.problems import Problem, choice, nearest, quoted
from counterfoil.blueprint.secrets import Lookup
from counterfoil.blueprint.stock import path_of
from counterfoil.blueprint.values import (
    A_DURATION,
    Name,
    Part,
    ReadOnly,
    Secret,
    Wait,
    each_once,
    format_duration,
)
from counterfoil.blueprint.yamlread import Source

SECTION = "prescriptions"
SECRET_PATHS = (("key",), ("old_keys",))
"""Where in the section references stand."""
KEY_BYTES = 32
_A_NUMBER = "a number such as -20 or 0.25"
_KEYS = "a list of references to the keys used before, such as [${OLD_KEY}]"


def _number(value: Any) -> Any:
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return Decimal(value)
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        raise ValueError("a plain number") from None
    if not number.is_finite():
        raise ValueError("a plain number")
    return number


Number = Annotated[Decimal, BeforeValidator(_number)]


class Measure(Part):
    """One field of a prescription."""

    type: Literal["number", "integer", "date", "text", "choice"] = Field(
        description="one of number, integer, date, text, choice"
    )
    required: bool = Field(default=True, strict=True, description="true or false")
    min: Number | None = Field(default=None, description=f"{_A_NUMBER}: the least that is taken")
    max: Number | None = Field(default=None, description=f"{_A_NUMBER}: the most that is taken")
    step: Number | None = Field(default=None, gt=0, description="a number above 0 such as 0.25: only multiples of it")
    choices: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(default=(), description="a list of texts")
    needs: Name | None = Field(default=None, description="another field that must be given where this one is")
    valid_for: Wait | None = Field(default=None, description=f"{A_DURATION}: how old the date may be")
    longest: int = Field(default=200, strict=True, ge=1, le=4000, description="a whole number of characters")


class Needing(Part):
    """What is sold on a prescription only; a line that any of these fits needs one."""

    skus: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description="a list of SKUs, * for any part, such as [RX-*, LENS-150]"
    )
    categories: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description="a list of categories with all below them, such as [Lenses, Optics / Made to measure]"
    )
    tax_classes: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description="a list of the shop's tax classes, such as [medical]"
    )

    def fits(self, sku: str, tax_class: str, category: tuple[str, ...] = ()) -> bool:
        """Whether what is sold so needs a prescription. A category is the path from the root, in whatever case."""
        if tax_class in self.tax_classes or any(fnmatchcase(sku, pattern) for pattern in self.skus if sku):
            return True
        below = tuple(name.casefold() for name in category)
        return any(below[: len(path)] == path for path in (path_of(each.casefold()) for each in self.categories))


class AsRecord(Part):
    """A model in Odoo that a released prescription becomes a record of, instead of an attachment."""

    model: Name = Field(description="a model in Odoo such as x_prescription")
    order: Name = Field(description="its field that points to the order, such as x_order_id")
    file: Name | None = Field(default=None, description="its binary field for the document")
    fields: ReadOnly[Name] = Field(
        default_factory=dict, validate_default=True, description="a mapping of fields here to fields there"
    )


class Prescriptions(Part):
    """What is sold on a prescription, and how one is asked for, checked, released, kept."""

    needs: Needing = Field(default=Needing(), description="a mapping with the keys skus, categories, tax_classes")
    hold: Literal["order", "confirmation"] = Field(default="order", description="one of order, confirmation")
    key: Secret | None = Field(default=None, description="${NAME} or {file: path} of the key that seals them")
    old_keys: tuple[Secret, ...] = Field(default=(), description=_KEYS)
    fields: ReadOnly[Measure] = Field(
        default_factory=dict, validate_default=True, description="a mapping of names to what is asked for"
    )
    file: Literal["required", "optional", "none"] = Field(
        default="optional", description="one of required, optional, none"
    )
    files: Annotated[tuple[Literal["pdf", "jpeg", "png"], ...], AfterValidator(each_once)] = Field(
        default=("pdf", "jpeg", "png"), description="a list of pdf, jpeg, png"
    )
    largest_file: int = Field(
        default=4_000_000, strict=True, ge=1000, le=4_000_000, description="a whole number of bytes up to 4000000"
    )
    roles: ReadOnly[tuple[Name, ...]] = Field(
        default_factory=dict, validate_default=True, description="a mapping of roles to lists of people"
    )
    seen_by: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description="a list of roles that may see what a prescription says"
    )
    released_by: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description="a list of roles that may release or reject one"
    )
    keep: Wait = Field(default=timedelta(days=730), description=f"{A_DURATION}: kept so long after it was decided")
    record: AsRecord | None = Field(default=None, description="a mapping with the keys model, order, file, fields")

    @property
    def declared(self) -> bool:
        """Whether anything needs a prescription."""
        return bool(self.needs.skus or self.needs.categories or self.needs.tax_classes)

    def may(self, act: Literal["see", "release"], role: str, who: str) -> str:
        """Why that person may not do so in that role; empty if they may."""
        roles = self.seen_by if act == "see" else self.released_by
        if role not in roles:
            allowed = f"the roles that may: {', '.join(roles)}" if roles else "the blueprint names no role that may"
            return f"The role {role!r} may not {act} prescriptions; {allowed}."
        if who.casefold() not in (name.casefold() for name in self.roles.get(role, ())):
            return f"{who or 'Nobody'} is not named under roles.{role} in the blueprint."
        return ""


def key_of(text: str) -> bytes | None:
    """The key that a secret holds, 32 bytes in base64; None where it is none."""
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/").encode(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def with_keys(rules: Prescriptions, lookup: Lookup) -> Prescriptions:
    """The rules with their keys looked up, and nothing else: who opens a prescription needs no other secret.

    Raises NotGiven.
    """
    key = lookup.secret(rules.key.reference()) if rules.key else None
    old = tuple(lookup.secret(each.reference()) for each in rules.old_keys)
    return rules.model_copy(update={"key": key, "old_keys": old})


def read(reading: Any) -> Prescriptions | None:
    """The section, with its references looked up; every problem is blamed on its own place."""
    data = dict(reading.section(SECTION, dict, "a mapping"))
    if data.get("key") is not None:
        data["key"] = reading.looked_up(reading.lookup.secret, data["key"], (SECTION, "key"))
    if isinstance(data.get("old_keys"), list):
        looked = [
            reading.looked_up(reading.lookup.secret, key, (SECTION, "old_keys", index))
            for index, key in enumerate(data["old_keys"])
        ]
        data["old_keys"] = [key for key in looked if key is not None]
    for name, model in (("needs", Needing), ("record", AsRecord)):
        if data.get(name) is not None:
            data[name] = reading.built(model, data[name], (SECTION, name))
    if isinstance(data.get("fields"), dict):
        made = {name: reading.built(Measure, each, (SECTION, "fields", name)) for name, each in data["fields"].items()}
        data["fields"] = {name: each for name, each in made.items() if each is not None}
    for name in [key for key in ("key", "needs", "record") if key in data and data[key] is None]:
        if reading.source.at((SECTION, name)) is not None:  # blamed already
            del data[name]
    rules: Prescriptions | None = reading.built(Prescriptions, data, (SECTION,))
    reading.source.problems.extend(problems(rules, reading.source))
    return rules


def problems(rules: Prescriptions | None, source: Source) -> Iterator[Problem]:
    """Parts that do not fit each other."""
    if rules is None:
        return
    if rules.declared and rules.key is None and source.at((SECTION, "key")) is None:
        hint = "what a prescription says is only kept sealed; counterfoil prescriptions new-key makes a key"
        yield source.problem((SECTION,), "a key, such as key: ${PRESCRIPTIONS_KEY}", "none", hint)
    if rules.declared and rules.file == "none" and not rules.fields:
        yield source.problem((SECTION,), "fields, or a file", "neither", "a prescription would say nothing")
    keys = [(("key",), rules.key), *((("old_keys", i), key) for i, key in enumerate(rules.old_keys))]
    for path, key in keys:
        if key is not None and key.resolved and key_of(key.reveal()) is None:
            hint = "counterfoil prescriptions new-key makes one"
            yield source.problem((SECTION, *path), "a key of 32 random bytes in base64", "something else", hint)
    for name in ("seen_by", "released_by"):
        for index, role in enumerate(getattr(rules, name)):
            if role not in rules.roles:
                hint = nearest(role, rules.roles)
                yield source.problem((SECTION, name, index), f"a role: {choice(rules.roles)}", quoted(role), hint)
    if rules.declared and not rules.released_by:
        hint = "nobody could release one, and every order would wait"
        yield source.problem((SECTION,), "released_by, a list of roles", "none", hint)
    yield from _fields(rules.fields, source)
    for field in rules.record.fields if rules.record else ():
        if field not in rules.fields:
            expected = f"a declared field: {choice(rules.fields)}"
            hint = nearest(field, rules.fields)
            yield source.problem((SECTION, "record", "fields", field), expected, quoted(field), hint, at_key=True)


def _fields(fields: Mapping[str, Measure], source: Source) -> Iterator[Problem]:
    for name, field in fields.items():
        path = (SECTION, "fields", name)
        for key in ("min", "max", "step"):
            if getattr(field, key) is not None and field.type not in ("number", "integer"):
                yield source.problem((*path, key), "a type of number or integer beside it", f"the type {field.type}")
        if field.min is not None and field.max is not None and field.min > field.max:
            yield source.problem((*path, "min"), f"at most max, {field.max}")
        if field.valid_for is not None and field.type != "date":
            yield source.problem((*path, "valid_for"), "the type date beside it", f"the type {field.type}")
        if (field.type == "choice") != bool(field.choices):
            found = f"the type {field.type} {'without' if field.type == 'choice' else 'with'} choices"
            yield source.problem(path, "choices for the type choice, and only there", found)
        if field.needs is not None and (field.needs not in fields or field.needs == name):
            expected = f"another field: {choice(fields)}"
            yield source.problem((*path, "needs"), expected, hint=nearest(field.needs, fields))


def in_words(rules: Prescriptions) -> list[str]:
    """For people; nothing where nothing is declared."""
    if not rules.declared:
        return []
    named = [
        ("SKU", rules.needs.skus),
        ("category", rules.needs.categories),
        ("tax class", rules.needs.tax_classes),
    ]
    what = "; ".join(f"{kind} {', '.join(values)}" for kind, values in named if values)
    waits = "the order waits" if rules.hold == "order" else "the order goes to Odoo as a quotation and waits there"
    return [
        f"What is sold on a prescription ({what}): {waits} until one is attached, fits what is declared and is "
        f"released by {', '.join(rules.released_by)}. It is kept sealed, seen by "
        f"{', '.join(rules.seen_by) or 'nobody'}, and kept for {format_duration(rules.keep)} after it was decided."
    ]
