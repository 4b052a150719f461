#!/usr/bin/python3
"""Checks that a model quotes code as it is: quoted.py SOURCE_DIR MODEL HEADER...

Every "// src: line" of the model must be a line of one of the headers of src/.
"""

import re
import sys


def main():
    source, model, *headers = sys.argv[1:]
    lines = set()
    for header in headers:
        with open(f"{source}/{header}", encoding="utf-8") as file:
            lines.update(line.strip() for line in file)
    with open(model, encoding="utf-8") as file:
        quoted = re.findall(r"// src: (.*)", file.read())
    missing = [line for line in quoted if line not in lines]
    for line in missing:
        print(f"{model}: not in {', '.join(headers)} any more: {line}")
    print(f"{len(quoted) - len(missing)} of {len(quoted)} lines are as quoted")
    sys.exit(1 if missing or not quoted else 0)


if __name__ == "__main__":
    main()
