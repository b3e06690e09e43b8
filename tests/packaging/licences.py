# SPDX-License-Identifier: Apache-2.0
#
# licences.py ROOT: reads names of files, and prints those whose SPDX line is not what packaging/deb/copyright has
# for them (the last paragraph that matches counts). Called by tests/packaging/licences.sh.
import fnmatch
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
NAMES = {"Apache-2.0": "Apache-2.0", "BSD-2-Clause or GPL-2.0-only": "(BSD-2-Clause OR GPL-2.0-only)"}
paragraphs = []
for paragraph in (root / "packaging/deb/copyright").read_text(encoding="utf-8").split("\n\n"):
    files = re.search(r"^Files: (.*(?:\n .*)*)", paragraph)
    if files:
        licence = re.search(r"^License: (.*)", paragraph, re.M)[1]
        paragraphs.append((files[1].split(), NAMES[licence]))

wrong = seen = 0
for name in sys.stdin.read().splitlines():
    if not (root / name).is_file():
        continue
    head = (root / name).read_bytes()[:400].decode(errors="replace")
    said = re.search(r"SPDX-License-Identifier: (\([^)]*\)|[\w.-]+)", head)
    wanted = [licence for patterns, licence in paragraphs if any(fnmatch.fnmatch(name, p) for p in patterns)][-1]
    seen += bool(said)
    if said and said[1] != wanted:
        print(f"{name}: {said[1]}, in the copyright file {wanted}")
        wrong += 1
sys.exit(wrong > 0 or seen < 100)
