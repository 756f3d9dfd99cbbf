"""Counterfoil: the retail operations hub for Odoo."""

__version__ = "0.1.0"
