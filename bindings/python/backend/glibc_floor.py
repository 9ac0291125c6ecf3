"""Prints the newest glibc that the library and the accelerator in a wheel need, by `nm -D`, and fails if it is newer than FLOOR.

usage: glibc_floor.py FLOOR WHEEL
"""

import re
import subprocess
import sys
import tempfile
import zipfile

FILES = ("mpflags/libmpflags.so", "mpflags/_speedups.abi3.so")


def newest(archive: zipfile.ZipFile, name: str) -> "tuple[int, ...]":
    with tempfile.TemporaryDirectory() as folder:
        library = archive.extract(name, folder)
        symbols = subprocess.run(["nm", "-D", library], check=True, capture_output=True, text=True).stdout
    asked = re.findall(r"@GLIBC_([\d.]+)", symbols)
    if not asked:
        sys.exit(f"{name}: no symbol of glibc: is this the library?")
    return max(tuple(map(int, version.split("."))) for version in asked)


def main() -> None:
    floor = tuple(map(int, sys.argv[1].split(".")))
    with zipfile.ZipFile(sys.argv[2]) as archive:
        missing = set(FILES) - set(archive.namelist())
        if missing:
            sys.exit(f"{sys.argv[2]}: no {', '.join(sorted(missing))}")
        found = {name: newest(archive, name) for name in FILES}
    for name, version in found.items():
        print(f"{sys.argv[2]}: {name} asks for glibc {'.'.join(map(str, version))}, may ask for {sys.argv[1]}")
    if max(found.values()) > floor:
        sys.exit(1)


if __name__ == "__main__":
    main()
