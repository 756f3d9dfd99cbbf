"""Is this shop fit to work with? What the doctor looks at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from counterfoil.connectors.woocommerce.care import SET_UP, all_hooks, only_polled, points_here
from counterfoil.connectors.woocommerce.client import Answer, Client
from counterfoil.connectors.woocommerce.releases import releases_of
from counterfoil.hub.contract import Failure, Finding, Mark
from counterfoil.retail.money import minor_units

_NO_SUCH_ORDER = 2147483647  # writing to it tells whether the key may write, and changes nothing


async def examine(
    client: Client, system: str, public_url: str, has_secret: bool, overlap: float, topics: Sequence[str]
) -> list[Finding]:
    """All findings, the first failure of reachability ending the round. Never raises."""
    findings = [*_address(client)]
    try:
        answer = await client.get("orders", per_page=1, _fields="id")
    except Failure as failure:
        outcome = failure.outcome
        found = f"{outcome.message} ({outcome.technical})" if outcome.technical else outcome.message
        return [*findings, Finding("reach", Mark.FAILED, found, outcome.suggestion)]
    findings.append(Finding("reach", Mark.OK, f"{client.url} answers, and the key may read orders"))
    findings.append(_clock(answer, overlap))
    for check, look in (
        ("version", _version),
        ("write", _write),
        ("webhooks", lambda c: _webhooks(c, system, public_url, has_secret, topics)),
        ("currency", _currency),
        ("tax rounding", _tax_rounding),
    ):
        findings += await _safely(check, look, client)
    return findings


async def _safely(check: str, look: Callable[[Client], Awaitable[list[Finding]]], client: Client) -> list[Finding]:
    try:
        return await look(client)
    except Failure as failure:
        return [Finding(check, Mark.WARNING, failure.outcome.message, failure.outcome.suggestion)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [Finding(check, Mark.WARNING, f"could not read the shop's answer: {type(error).__name__}: {error}")]


def _address(client: Client) -> list[Finding]:
    url = httpx.URL(client.url)
    if url.scheme == "https" or url.host in ("localhost", "127.0.0.1", "::1"):
        return []
    return [
        Finding(
            "address",
            Mark.WARNING,
            f"{client.url} is not encrypted: the key travels in the open, and WooCommerce refuses it",
            "Use the shop's https address.",
        )
    ]


def _clock(answer: Answer, overlap: float) -> Finding:
    shop = answer.shop_time
    if shop is None:
        return Finding("clock", Mark.WARNING, "the shop does not tell its time (no Date header)")
    skew = (shop - datetime.now(UTC)).total_seconds()
    found = f"the shop's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the hub's"
    if abs(skew) <= max(5.0, overlap / 4):
        return Finding("clock", Mark.OK, found)
    remedy = "Orders still arrive, as the shop's own clock is used, but promises are timed wrongly: set it right."
    return Finding("clock", Mark.WARNING, found, remedy)


async def _version(client: Client) -> list[Finding]:
    found = await releases_of(client)
    doubted = [Finding("version", Mark.WARNING, each.doubt, each.remedy) for each in found if each.doubt]
    return doubted or [Finding("version", Mark.OK, ", ".join(f"{each.name} {each.version}" for each in found))]


async def _write(client: Client) -> list[Finding]:
    try:
        await client.call("PUT", f"orders/{_NO_SUCH_ORDER}", content={})
    except Failure as failure:
        if failure.outcome.reason == "not_in_shop":
            return [Finding("write", Mark.OK, "the key may write orders")]
        return [Finding("write", Mark.FAILED, failure.outcome.message, failure.outcome.suggestion)]
    return [Finding("write", Mark.WARNING, f"the shop accepted a change to order {_NO_SUCH_ORDER}, which is odd")]


async def _webhooks(
    client: Client, system: str, public_url: str, has_secret: bool, topics: Sequence[str]
) -> list[Finding]:
    polled = only_polled(public_url, has_secret)
    if polled:
        return [Finding("webhooks", Mark.WARNING, polled, SET_UP)]
    ours = [hook for hook in (await all_hooks(client))[0] if points_here(hook, system, public_url)]
    # not a failure: the poll carries the load until then
    remedy = f"Run: counterfoil webhooks {system}"
    findings = []
    for topic in topics:
        states = sorted({str(hook["status"]) for hook in ours if hook["topic"] == topic})
        if "active" in states:
            findings.append(Finding(f"webhook {topic}", Mark.OK, "active; its secret cannot be read back"))
        else:
            found = f"switched off by the shop ({', '.join(states)})" if states else "does not exist"
            findings.append(Finding(f"webhook {topic}", Mark.WARNING, found, remedy))
    return findings


async def _currency(client: Client) -> list[Finding]:
    values = _values((await client.get("settings/general")).data)
    currency, digits = values["woocommerce_currency"], int(values["woocommerce_price_num_decimals"])
    if digits == minor_units(currency):
        return [Finding("currency", Mark.OK, f"{currency} with {digits} decimals")]
    return [
        Finding(
            "currency",
            Mark.WARNING,
            f"the shop calculates {currency} with {digits} decimals, the currency has {minor_units(currency)}",
            "WooCommerce > Settings > General > Number of decimals; amounts between are put on the rounding line.",
        )
    ]


async def _tax_rounding(client: Client) -> list[Finding]:
    values = _values((await client.get("settings/tax")).data)
    if values["woocommerce_tax_round_at_subtotal"] == "no":
        return [Finding("tax rounding", Mark.OK, "per line: every order adds up")]
    return [
        Finding(
            "tax rounding",
            Mark.WARNING,
            "at subtotal level: about two in five orders are a cent away from their own lines",
            "WooCommerce > Settings > Tax > Rounding: switch it off, or live with a rounding line of one cent.",
        )
    ]


def _values(options: list[dict[str, Any]]) -> dict[str, str]:
    return {str(option["id"]): str(option["value"]) for option in options}
