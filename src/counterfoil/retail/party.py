"""People and places: addresses, customers, and the keys by which the same customer is known again."""

from __future__ import annotations

import hashlib
import unicodedata

from pydantic import AwareDatetime, BaseModel, ConfigDict

from counterfoil.retail.entity import Extended


class Address(BaseModel):
    """A postal address as the customer wrote it. `country` is ISO 3166-1 alpha-2, `state` the shop's code."""

    model_config = ConfigDict(frozen=True)

    name: str = ""
    company: str = ""
    street: str = ""
    street2: str = ""
    city: str = ""
    postcode: str = ""
    state: str = ""
    country: str = ""
    phone: str = ""
    email: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing of a place is known."""
        return not (self.street or self.city or self.postcode or self.country)

    @property
    def fingerprint(self) -> str:
        """The same for two addresses that differ only in case, spacing or Unicode form."""
        return fingerprint(
            *(self.name, self.company, self.street, self.street2),
            *(self.city, self.postcode, self.state, self.country),
        )


class Customer(BaseModel):
    """Who bought. `id` is the shop's account number, empty for a guest."""

    model_config = ConfigDict(frozen=True)

    id: str = ""
    email: str = ""
    name: str = ""
    company: str = ""
    phone: str = ""
    vat: str = ""

    @property
    def is_guest(self) -> bool:
        """Whether the order was placed without an account."""
        return not self.id


class Account(Extended):
    """A customer's master data as one system has it, apart from any order."""

    system: str
    id: str
    customer: Customer
    billing: Address = Address()
    shipping: Address = Address()
    modified_at: AwareDatetime | None = None

    @property
    def canonical_id(self) -> str:
        """`web-eu:customer:12`."""
        return f"{self.system}:customer:{self.id}"


def normal_email(email: str) -> str:
    """Lower case, no surrounding space; the local part is otherwise left alone, as servers may tell them apart."""
    return unicodedata.normalize("NFC", email).strip().lower()


def normal_vat(vat: str) -> str:
    """A VAT number without spaces, dots and dashes, upper case."""
    return "".join(c for c in vat.upper() if c.isalnum())


def normal_phone(phone: str) -> str:
    """Digits only, an international prefix 00 or + written as +. National numbers stay national."""
    digits = "".join(c for c in phone if c.isdigit())
    if phone.strip().startswith("+"):
        return "+" + digits
    return "+" + digits[2:] if digits.startswith("00") else digits


def fingerprint(*parts: str) -> str:
    """A short stable hash of texts that ignores case, spacing and Unicode form."""
    folded = "\x1f".join(" ".join(unicodedata.normalize("NFKC", p).casefold().split()) for p in parts)
    return hashlib.sha256(folded.encode()).hexdigest()[:20]
