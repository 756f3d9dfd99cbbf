"""Which WooCommerce on which WordPress a shop is, and with which this connector was tested."""

from __future__ import annotations

from collections.abc import Mapping

from counterfoil.connectors.woocommerce.client import Client
from counterfoil.hub.contract import Failure, Kind, Outcome, Release

TESTED: Mapping[str, str] = {"WooCommerce": "9.9", "WordPress": "6.8"}
_FIELDS = {"WooCommerce": "version", "WordPress": "wp_version"}
"""So in the documentation's example and in WooCommerce's own tests; the documentation's table says wc_version."""
OLDEST = (8, 0)


async def releases_of(client: Client) -> list[Release]:
    """As the shop's own status report tells them, which the key of a shop manager may read. Raises Failure."""
    answer = (await client.get("system_status", _fields="environment")).data
    environment = answer.get("environment") if isinstance(answer, dict) else None
    told = environment if isinstance(environment, dict) else {}
    found = [release(name, told[field]) for name, field in _FIELDS.items() if isinstance(told.get(field), str)]
    if not found:
        raise Failure(Outcome(Kind.RETRY, "no_version", "The shop does not tell which WooCommerce it is."))
    return found


def release(name: str, version: str) -> Release:
    """With what there is to say of it. Pure."""
    tested = f"{TESTED[name]}.x"
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if name == "WooCommerce" and numbers < OLDEST:
        doubt = f"WooCommerce {version} is older than all that are served: 8.0 and later"
        return Release(name, version, tested, doubt, "Update it: supported from 8.0 on.")
    if ".".join(map(str, numbers)) == TESTED[name]:
        return Release(name, version, tested)
    doubt = f"{name} {version} was never tried with this connector, which was tested with {tested}"
    return Release(name, version, tested, doubt, "Try an order and a refund on a copy of the shop after an update.")
