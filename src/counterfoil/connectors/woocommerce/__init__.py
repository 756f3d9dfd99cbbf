"""Connector for WooCommerce shops: orders in, the ERP's order number back."""

from counterfoil.connectors.woocommerce.connector import CAPABILITIES, SETTINGS, WooCommerce

__all__ = ["CAPABILITIES", "SETTINGS", "WooCommerce"]
