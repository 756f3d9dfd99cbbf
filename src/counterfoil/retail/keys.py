"""Keys by which the same article or person is known again, in the form in which two of them are compared."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

import phonenumbers
from stdnum import get_cc_module
from stdnum.exceptions import ValidationError

from counterfoil.retail.events import hashed_ref
from counterfoil.retail.party import normal_email, normal_phone, normal_vat

_VAT_PREFIXES = {"EL": "GR", "XI": "GB"}
"""Prefixes of VAT numbers that are no country codes."""


def key_of(kind: str, value: str, country: str = "") -> str:
    """The form in which two keys are compared; empty for one that cannot identify anything.

    `country` (ISO 3166-1 alpha-2) is where a national telephone or VAT number belongs.
    """
    match kind:
        case "gtin":
            return gtin_key(value)
        case "email":
            return normal_email(value)
        case "vat":
            return vat_key(value, country)
        case "phone":
            return phone_key(value, country)
        case _:
            return unicodedata.normalize("NFC", value).strip().casefold()


def gtin_key(value: str) -> str:
    """A GTIN-8, -12, -13 or -14 as fourteen digits; empty if its length or check digit is wrong (GS1 7.9)."""
    digits = "".join(c for c in value if not c.isspace() and c != "-")
    if len(digits) not in (8, 12, 13, 14) or not (digits.isascii() and digits.isdigit()) or not digits.strip("0"):
        return ""
    padded = digits.zfill(14)
    total = sum(int(c) * (3 if place % 2 == 0 else 1) for place, c in enumerate(padded[:13]))
    return padded if (10 - total % 10) % 10 == int(padded[13]) else ""


def vat_key(value: str, country: str = "") -> str:
    """A VAT number with its country in front; empty where that country's check digits say that it is none.

    What no country vouches for (no prefix, no `country`, or one without a known rule) stays as it is written.
    """
    compact = normal_vat(value)
    if len(compact) < 4 or not compact.strip("0"):
        return ""
    known = False
    for code in dict.fromkeys((_VAT_PREFIXES.get(compact[:2], compact[:2]), country.upper())):
        rule = _vat_rule(code)
        if rule is None:
            continue
        known = True
        try:
            number = str(rule.validate(compact))
        except ValidationError:
            continue
        return code + number.removeprefix(code)
    return "" if known else compact


@lru_cache(maxsize=512)
def _vat_rule(code: str) -> Any:
    return get_cc_module(code.lower(), "vat") if len(code) == 2 and code.isascii() and code.isalpha() else None


def phone_key(value: str, country: str = "") -> str:
    """A telephone number as E.164, `;` and the extension where it has one; digits as written where it is no valid one.

    A national number is one of `country`; without that it stays national.
    """
    written = value.strip()
    if not any(c.isdigit() for c in written):
        return ""
    if written.startswith("00"):
        written = "+" + written[2:]
    if not written.startswith("+") and not country:
        return normal_phone(value)
    try:
        number = phonenumbers.parse(written, country.upper() or None)
    except phonenumbers.NumberParseException:
        return normal_phone(value)
    if not phonenumbers.is_valid_number(number):
        return normal_phone(value)
    plain = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{plain};{number.extension}" if number.extension else plain


def phone_forms(value: str, country: str = "") -> list[str]:
    """The forms in which people write a telephone number, to be found by any of them: with its country and without."""
    key = phone_key(value, country)
    if not key.startswith("+"):
        return [key] if key else []
    try:
        number = phonenumbers.parse(key.partition(";")[0])
    except phonenumbers.NumberParseException:
        return [key]
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    return list(dict.fromkeys([key.partition(";")[0], normal_phone(national)]))


def phone_refs(*numbers: tuple[str, str]) -> list[tuple[str, str]]:
    """Search keys of (telephone number, country) as customers wrote them; unreadable for who does not know them."""
    return [("phone", hashed_ref(form)) for value, country in numbers for form in phone_forms(value, country)]


def folded(text: str) -> str:
    """A name or an address for comparing its likeness: no accents, case or punctuation, words in order."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    letters = "".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return " ".join(sorted(letters.split()))
