"""Prints the requirements of an extra of pyproject.toml, one per line, for `pip install --requirement`."""

import sys
from pathlib import Path

try:
    import tomllib
except ImportError:  # Python 3.10, with the module inside pip
    from pip._vendor import tomli as tomllib

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
print("\n".join(project["optional-dependencies"][sys.argv[1]]))
