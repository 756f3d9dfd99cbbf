"""Run by the tests as a process of its own, to be killed with SIGKILL at the worst moment.

usage: killed.py worker-before | worker-after | poll-before-commit  STORE-URL  FOLDER

The ERP here is a folder: one file an order, made exclusively, so that it outlives the process. The file `reached`
tells the test that the moment has come.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.fakes import ERP, SHOP, Fake, House, payload, raw, subject

from counterfoil.hub import poller, receipts
from counterfoil.hub.contract import Item, Outcome
from counterfoil.hub.store import Store, serving_alone

ORDERS = 5
LEASE = 1.0


class FolderErp(Fake):
    """An ERP whose orders are files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(ERP)
        self.folder = folder

    async def stand(self, item: Item, operation: str = "accept_order") -> Outcome:
        file = self.folder / item.subject.replace(":", "_")
        with (self.folder / "asked").open("a") as asked:
            asked.write(f"{item.subject}\n")
        if not file.exists():
            with file.open("x") as made:
                made.write(operation)
        return await super().stand(item, operation)


def feeding_shop() -> Fake:
    """A shop with orders to be polled, two a page."""
    shop = Fake(SHOP)
    shop.changes = [raw(payload(n)) for n in range(ORDERS)]
    return shop


async def hang(folder: Path) -> None:
    """The moment: say so, and stay."""
    (folder / "reached").touch()
    await asyncio.sleep(60)


async def main(moment: str, url: str, folder: Path) -> None:
    store = Store(url)
    if moment == "poll-before-commit":
        take, pages = receipts.take, 0

        async def second_page_hangs(*arguments: object) -> int:
            nonlocal pages
            kept = await take(*arguments)  # type: ignore[arg-type]
            pages += 1
            if pages == 2:
                await hang(folder)
            return kept

        receipts.take = second_page_hangs  # type: ignore[assignment]
        shop = feeding_shop()
        await poller.poll_once(store, SHOP, shop.feeds[0])
        return
    erp = FolderErp(folder)

    async def step(item: Item) -> Outcome:
        if moment == "worker-after":
            await erp.stand(item)
        await hang(folder)
        raise AssertionError("it should be dead by now")

    erp.plan(subject(2), step)
    with serving_alone(store):
        await House(store, erp=erp).worker(lease=LEASE).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
