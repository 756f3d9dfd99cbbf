"""Is this shop set up for what its channel is to publish?"""

from __future__ import annotations

from collections.abc import Sequence

from counterfoil.connectors.woocommerce.client import Client
from counterfoil.connectors.woocommerce.places import rows_in
from counterfoil.connectors.woocommerce.product_fields import NOT_TAXED
from counterfoil.connectors.woocommerce.shop_facts import ShopFacts
from counterfoil.hub.contract import Failure, Finding, Mark
from counterfoil.retail.listing import Channel


async def examine(client: Client, channel: Channel, before: Sequence[Finding]) -> list[Finding]:
    """The findings about the channel, none where the shop was out of reach `before`. Never raises."""
    if any(finding.check == "reach" and finding.mark is Mark.FAILED for finding in before):
        return []
    try:
        return await channel_findings(client, channel)
    except Failure as failure:
        return [Finding("channel", Mark.WARNING, failure.outcome.message, failure.outcome.suggestion)]


async def channel_findings(client: Client, channel: Channel) -> list[Finding]:
    """Tax classes, stock management and weights of the shop against the channel. Raises Failure."""
    findings = []
    facts = await ShopFacts(client).facts()
    if "weight" in channel.publish and not facts.converts_weight:
        found = f"the shop's weight unit {facts.weight_unit!r} is not known: no weights are published"
        findings.append(Finding("channel weights", Mark.WARNING, found, "Choose kg, g, lbs or oz in the shop."))
    if "stock" in channel.publish and not facts.manages_stock:
        found = "stock management is switched off: the shop drops every quantity in silence"
        remedy = "WooCommerce > Settings > Products > Inventory > Enable stock management."
        findings.append(Finding("channel stock", Mark.FAILED, found, remedy))
    return [*findings, *await _tax_classes(client, channel)]


async def _tax_classes(client: Client, channel: Channel) -> list[Finding]:
    if not channel.tax_classes:
        return []
    answer = await client.get("taxes/classes")
    rows = answer.data if isinstance(answer.data, list) else rows_in(answer, "taxes/classes")
    known = {str(row["slug"]) for row in rows if isinstance(row, dict) and "slug" in row} | {NOT_TAXED}
    wrong = sorted(set(channel.tax_classes.values()) - known)
    if not wrong:
        return [Finding("channel tax classes", Mark.OK, f"{len(channel.tax_classes)} mapped, all known to the shop")]
    found = f"the shop has no tax class {', '.join(wrong)}, and would tax such products as standard"
    return [Finding("channel tax classes", Mark.FAILED, found, f"Known: {', '.join(sorted(known))}.")]
