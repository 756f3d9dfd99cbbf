"""Make the package usable from its source in the virtualenv whose Python runs this, as an editable installation would
be, but without a build backend and without the network: a path file, a record that it is there, and its commands.

    .venv/bin/python scripts/link_package.py
"""

import sys
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = """#!{python}
import sys

from {module} import {function}

sys.exit({function}())
"""


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    site, programs = Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("scripts"))
    (site / "counterfoil.pth").write_text(f"{ROOT / 'src'}\n")
    record = site / f"{project['name']}-{project['version']}.dist-info"
    record.mkdir(exist_ok=True)
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    for name, target in project["scripts"].items():
        module, function = target.split(":")
        command = programs / name
        command.write_text(COMMAND.format(python=sys.executable, module=module, function=function))
        command.chmod(0o755)


if __name__ == "__main__":
    main()
