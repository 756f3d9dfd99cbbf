"""What the Odoo tests share: the makers of orders that the conformance suite uses too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "conformance"))
