"""The buttons and wizards of the Odoo stand-in, as they are called from outside."""

from __future__ import annotations

from typing import Any

from counterfoil_sandbox import (
    odoo_base,
    odoo_counting,
    odoo_invoicing,
    odoo_merging,
    odoo_payments,
    odoo_pickings,
    odoo_reconciling,
    odoo_sales,
    odoo_wizards,
)
from counterfoil_sandbox.odoo_methods import Target, method
from counterfoil_sandbox.odoo_schema import OdooError, Row


@method("sale.order:action_confirm")
def _confirm(self: Target) -> bool:
    return odoo_sales.confirm_orders(self.store, self.ids)


@method("sale.order:action_cancel")
def _cancel(self: Target) -> bool:
    return odoo_sales.cancel_orders(self.store, self.ids)


@method("sale.order:action_draft")
def _draft(self: Target) -> bool:
    return odoo_sales.reopen_orders(self.store, self.ids)


@method("sale.order:action_lock")
def _lock(self: Target) -> None:
    self.store.write(self.model, self.ids, {"locked": True})


@method("sale.order:action_unlock")
def _unlock(self: Target) -> None:
    self.store.write(self.model, self.ids, {"locked": False})


@method("account.payment:action_post")
def _post(self: Target) -> None:
    odoo_payments.post_payments(self.store, self.ids)


@method("account.payment:action_draft")
def _payment_draft(self: Target) -> None:
    odoo_payments.set_payments(self.store, self.ids, "draft")


@method("account.payment:action_cancel")
def _payment_cancel(self: Target) -> None:
    odoo_payments.set_payments(self.store, self.ids, "canceled")


# Stock


@method("stock.picking:action_confirm")
def _picking_confirm(self: Target) -> bool:
    self.store.check_exist(self.model, self.ids)
    return odoo_pickings.confirm_pickings(self.store, self.ids)


@method("stock.picking:action_assign")
def _picking_assign(self: Target) -> bool:
    self.store.check_exist(self.model, self.ids)
    return odoo_pickings.assign_pickings(self.store, self.ids)


@method("stock.picking:do_unreserve")
def _picking_unreserve(self: Target) -> None:
    self.store.check_exist(self.model, self.ids)
    odoo_pickings.unreserve_pickings(self.store, self.ids)


@method("stock.picking:action_cancel")
def _picking_cancel(self: Target) -> bool:
    self.store.check_exist(self.model, self.ids)
    return odoo_pickings.cancel_pickings(self.store, self.ids)


@method("stock.picking:button_validate")
def _picking_validate(self: Target) -> Any:
    return odoo_pickings.validate(self.store, self.ids)


@method("stock.backorder.confirmation:process")
def _backorder(self: Target) -> Any:
    return odoo_pickings.process_backorder(self.store, self.ids, cancel_rest=False)


@method("stock.backorder.confirmation:process_cancel_backorder")
def _no_backorder(self: Target) -> Any:
    return odoo_pickings.process_backorder(self.store, self.ids, cancel_rest=True)


@method("stock.return.picking:action_create_returns")
def _returns(self: Target) -> Row:
    return odoo_pickings.create_returns(self.store, _only(self))


@method("stock.return.picking:action_create_returns_all")
def _returns_all(self: Target) -> Row:
    return odoo_pickings.create_returns(self.store, _only(self), everything=True)


def _only(self: Target) -> int:
    if len(self.ids) != 1:
        raise OdooError(500, "builtins.ValueError", f"Expected singleton: {self.model}{tuple(self.ids)!r}")
    return self.ids[0]


@method("stock.quant:create", on_model=True)
def _quant_create(self: Target, vals_list: Any) -> list[int]:
    rows = [vals_list] if isinstance(vals_list, dict) else vals_list
    return [odoo_counting.create_quant(self.store, values) for values in rows]


@method("stock.quant:action_apply_inventory")
def _quant_apply(self: Target, date: Any = None) -> None:
    del date
    odoo_counting.apply_inventory(self.store, self.ids)


@method("stock.quant:action_clear_inventory_quantity")
def _quant_clear(self: Target) -> None:
    odoo_counting.clear_inventory(self.store, self.ids)


@method("stock.quant:action_set_inventory_quantity")
def _quant_set(self: Target) -> None:
    odoo_counting.count_as_is(self.store, self.ids)


@method("stock.quant:action_set_inventory_quantity_zero")
def _quant_zero(self: Target) -> None:
    odoo_counting.count_as_is(self.store, self.ids, 0.0)


# Invoices


@method("account.move:action_post")
def _invoice_post(self: Target) -> bool:
    return odoo_invoicing.post(self.store, self.ids)


@method("account.move:button_draft")
def _invoice_draft(self: Target) -> None:
    odoo_invoicing.set_draft(self.store, self.ids)


@method("account.move:button_cancel")
def _invoice_cancel(self: Target) -> None:
    odoo_invoicing.set_cancelled(self.store, self.ids)


@method("account.move:js_assign_outstanding_line")
def _assign_outstanding(self: Target, line_id: int) -> None:
    odoo_reconciling.assign_outstanding(self.store, _only(self), line_id)


@method("account.move.line:reconcile")
def _reconcile(self: Target) -> None:
    odoo_reconciling.reconcile(self.store, self.ids)


@method("account.move.line:remove_move_reconcile")
def _unreconcile(self: Target) -> None:
    self.store.check_exist(self.model, self.ids)
    odoo_reconciling.unreconcile(self.store, self.ids)


@method("account.move:get_portal_url", "sale.order:get_portal_url")
def _portal_url(
    self: Target,
    suffix: Any = None,
    report_type: Any = None,
    download: Any = None,
    query_string: Any = None,
    anchor: Any = None,
) -> str:
    query = f"&report_type={report_type}" if report_type else ""
    query += "&download=true" if download else ""
    query += query_string or ""
    query += f"#{anchor}" if anchor else ""
    self.store.check_exist(self.model, self.ids)
    return odoo_base.portal_url(self.store, self.model, _only(self), suffix or "", query)


@method("sale.advance.payment.inv:create_invoices")
def _create_invoices(self: Target) -> Row:
    return odoo_wizards.create_invoices(self.store, _only(self))


@method("account.move.reversal:refund_moves")
def _refund_moves(self: Target) -> Row:
    return odoo_wizards.reverse(self.store, _only(self), modify=False)


@method("account.move.reversal:modify_moves")
def _modify_moves(self: Target) -> Row:
    return odoo_wizards.reverse(self.store, _only(self), modify=True)


@method("account.payment.register:action_create_payments")
def _register_payment(self: Target) -> Row:
    return odoo_wizards.register_payment(self.store, _only(self))


# Customers


@method("base.partner.merge.automatic.wizard:action_merge")
def _merge_partners(self: Target) -> Row:
    return odoo_merging.merge(self.store, _only(self))
