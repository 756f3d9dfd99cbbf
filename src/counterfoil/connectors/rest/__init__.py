"""Connector for any system that keeps records behind a JSON API: a CRM, a till, a finance system, a warehouse."""

from counterfoil.connectors.rest.connector import CAPABILITIES, SETTINGS, Rest

__all__ = ["CAPABILITIES", "SETTINGS", "Rest"]
