"""What differs between Odoo versions, in one place. Source of each: the servers' own fields_get answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """Field and state names of one version."""

    line_taxes: str
    payment_memo: str
    payment_posted: tuple[str, ...]
    outside_taxes: bool  # sale.order.line.extra_tax_data takes taxes computed elsewhere
    rounds_price_unit: bool  # price_unit is cut to the 'Product Price' digits


V19 = Names("tax_ids", "memo", ("in_process", "paid"), outside_taxes=True, rounds_price_unit=False)

BY_VERSION = {19: V19}


class UnsupportedVersion(ValueError):
    """This Odoo is not served yet; the supported versions are listed in the connector's manifest."""


def names(major: int) -> Names:
    """The names of Odoo `major`. Raises UnsupportedVersion."""
    try:
        return BY_VERSION[major]
    except KeyError:
        known = ", ".join(str(v) for v in sorted(BY_VERSION))
        raise UnsupportedVersion(f"Odoo {major} is not served by this connector (served: {known})") from None
