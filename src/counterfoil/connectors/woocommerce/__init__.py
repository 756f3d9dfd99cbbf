"""Connector for WooCommerce shops: orders, refunds and customers in; status, shipments, stock and products back."""

from counterfoil.connectors.woocommerce.connector import CAPABILITIES, SETTINGS, WooCommerce

__all__ = ["CAPABILITIES", "SETTINGS", "WooCommerce"]
