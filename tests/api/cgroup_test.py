#!/usr/bin/python3
"""A control group's limit that changes while a program allocates: `auto` follows it.

usage: cgroup_test.py LIBTIDE GROWER

Makes a group beside those at the top of the memory hierarchy, version 2 or 1, with nothing in it
but GROWER; skipped where that is not allowed.
"""
import os
import select
import subprocess
import sys
import time
import unittest

LIBRARY, GROWER = sys.argv[1:3]
MIB = 1 << 20
PATIENCE = 60  # seconds, for a machine that does much else


def memory_hierarchy():
    """The folder of the top group and the name of its limit's file, or None."""
    for top, probe, name in (("/sys/fs/cgroup", "cgroup.controllers", "memory.max"),
                             ("/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                              "memory.limit_in_bytes")):
        if os.path.exists(os.path.join(top, probe)):
            return top, name
    return None


class Auto(unittest.TestCase):
    def setUp(self):
        hierarchy = memory_hierarchy()
        if hierarchy is None:
            self.skipTest("no control group for memory")
        top, name = hierarchy
        self.group = os.path.join(top, f"tide-test-{os.getpid()}")
        try:
            os.mkdir(self.group)
        except OSError as error:
            self.skipTest(f"can't make a control group: {error}")
        self.addCleanup(self.remove)
        self.limit = os.path.join(self.group, name)
        if not os.access(self.limit, os.W_OK):
            self.skipTest(f"{self.limit} is not there or can't be written")

    def remove(self):
        for _ in range(50):
            try:
                os.rmdir(self.group)
                return
            except OSError:  # the program is not quite gone
                time.sleep(0.1)

    def set_limit(self, limit):
        with open(self.limit, "w", encoding="ascii") as file:
            file.write(str(limit))

    def next_limits(self):
        """The next line of the program."""
        ready, _, _ = select.select([self.program.stdout], [], [], PATIENCE)
        self.assertTrue(ready, f"the limits did not change within {PATIENCE} s")
        return tuple(int(word) for word in self.program.stdout.readline().split())

    def test_follows_a_limit_that_changes(self):
        self.set_limit(800 * MIB)
        environment = {"LD_PRELOAD": LIBRARY, "TIDE_OPTIONS": "limit_soft=auto,limit_hard=auto"}
        self.program = subprocess.Popen([GROWER, self.group + "/cgroup.procs"], env=environment,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with self.program:
            self.addCleanup(self.program.kill)
            # The first line is perhaps about the group that the program began in.
            limits = self.next_limits()
            while limits != (720 * MIB, 750 * MIB):
                limits = self.next_limits()
            # Within a second, once at least: this machine may do much else.
            times = []
            for limit in (640, 960) * 10:
                self.set_limit(limit * MIB)
                begin = time.monotonic()
                expected = (limit // 10 * 9 * MIB, limit // 16 * 15 * MIB)
                # One of the two may be seen before the other.
                while (limits := self.next_limits()) != expected:
                    self.assertTrue(limits[0] == expected[0] or limits[1] == expected[1], limits)
                times.append(time.monotonic() - begin)
                if len(times) % 2 == 0 and min(times) < 1.0:
                    break
            self.assertLess(min(times), 1.0)
            self.program.stdin.close()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
