"""Prints the newest glibc that the library in a wheel needs, by `nm -D`, and fails if it is newer than FLOOR.

usage: glibc_floor.py FLOOR WHEEL
"""

import re
import subprocess
import sys
import tempfile
import zipfile


def newest(wheel: str) -> "tuple[int, ...]":
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        library = archive.extract("mpflags/libmpflags.so", folder)
        symbols = subprocess.run(["nm", "-D", library], check=True, capture_output=True, text=True).stdout
    asked = re.findall(r"@GLIBC_([\d.]+)", symbols)
    if not asked:
        sys.exit(f"{wheel}: no symbol of glibc: is this the library?")
    return max(tuple(map(int, version.split("."))) for version in asked)


def main() -> None:
    floor = tuple(map(int, sys.argv[1].split(".")))
    found = newest(sys.argv[2])
    print(f"{sys.argv[2]}: asks for glibc {'.'.join(map(str, found))}, may ask for {sys.argv[1]}")
    if found > floor:
        sys.exit(1)


if __name__ == "__main__":
    main()
