# The way of GDB scripts for glibc's malloc, written for comparison: every field of every chunk is a
# gdb.Value, every block an object. Used by bench/walk-side-by-side; nothing of Tide is like it.
#
#   gdb PROGRAM CORE -x gdb_chunks.py -ex "chunks START END stats|list FILE|where ADDRESS"
import collections

import gdb


class Chunks(gdb.Command):
    def __init__(self):
        super().__init__("chunks", gdb.COMMAND_DATA)

    def walk(self, at, end):
        """(block, usable bytes, whether it is in use) of each chunk from `at` on, but for the last."""
        pointer = gdb.lookup_type("unsigned long").pointer()
        size = int(gdb.Value(at + 8).cast(pointer).dereference()) & ~7
        while size >= 32 and at + size < end:
            behind = int(gdb.Value(at + size + 8).cast(pointer).dereference())
            yield at + 16, size - 8, behind & 1 != 0
            at, size = at + size, behind & ~7

    def invoke(self, text, _):
        start, end, question, *rest = text.split()
        chunks = self.walk(int(start, 0), int(end, 0))
        if question == "where":
            address = int(rest[0], 0)
            print(next(c for c in chunks if c[0] <= address < c[0] + c[1]))
            return
        blocks = list(chunks)
        if question == "list":
            with open(rest[0], "w") as file:
                for block, usable, in_use in blocks:
                    if in_use:
                        print(f"{block:#x} {usable}", file=file)
            return
        counts = collections.Counter((usable, in_use) for _, usable, in_use in blocks)
        for (usable, in_use), count in sorted(counts.items()):
            print(usable, "used" if in_use else "free", count, count * usable)


Chunks()
