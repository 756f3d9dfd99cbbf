"""An ERP that takes no order to one street, until somebody puts the address right."""

from __future__ import annotations

from tests.fakes import Fake, Step

from counterfoil.hub.contract import Item, Outcome, rejected

STREET = "billing.street"
WRONG, RIGHT = "1 rue Haute", "1 rue Basse"


def refusing(erp: Fake) -> Step:
    """What becomes of an order: refused for its street as it is told, else accepted."""

    async def accept(item: Item) -> Outcome:
        if item.data["state"]["billing"]["street"] == WRONG:
            return rejected("refused", f"There is no street {WRONG} for {item.subject}.", "Put it right.")
        return await erp.stand(item)

    return accept
