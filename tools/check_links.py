#!/usr/bin/env python3
"""Checks the links of all documents: every relative one leads to a file, every anchor to a heading.

usage: check_links.py [ROOT]

A line for each link that leads nowhere, and exit status 1 where there is one.
"""

import pathlib
import re
import subprocess
import sys

LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)")
FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def without_code(text):
    """The text with as many lines, but without what stands in blocks and spans of code."""
    text = FENCED.sub(lambda block: "\n" * block[0].count("\n"), text)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(document):
    """The anchors that GitHub makes of a document's headings."""
    found = set()
    for heading in re.findall(r"^#+ +(.*?) *$", FENCED.sub("", document.read_text()), re.MULTILINE):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        numbered = (name + (f"-{n}" if n else "") for n in range(len(found) + 1))
        found.add(next(anchor for anchor in numbered if anchor not in found))
    return found


def wrong_links(document):
    for number, line in enumerate(without_code(document.read_text()).splitlines(), 1):
        for link in LINK.findall(line):
            if re.match(r"[a-z+]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = document.parent / path if path else document
            if not target.exists():
                yield number, link, "is not there"
            elif anchor and anchor not in anchors(target):
                yield number, link, "has no such heading"


def documents(root):
    """Every document of the repository, or of an unpacked archive of it, but not what was built."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "*.md"], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if listed.returncode == 0 and listed.stdout:
        return [root / name for name in listed.stdout.split("\0") if name]
    return [path for path in sorted(root.rglob("*.md")) if "build" not in path.relative_to(root).parts]


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1])
    wrong = 0
    for document in documents(root):
        for number, link, why in wrong_links(document):
            print(f"{document.relative_to(root)}:{number}: {link} {why}", file=sys.stderr)
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
