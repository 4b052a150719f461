"""A good part of python3's own test suite."""

import xml.etree.ElementTree

from lib.registry import case

# Modules that pass on the system's malloc with PYTHONMALLOC=malloc, need no network, no
# terminal and no display. Left out for their time: asyncio, concurrent_futures, multiprocessing_*,
# ssl, signal.
_SHORT = """
array ast asyncgen atexit argparse bufio cmath codecs collections complex context contextlib copy
coroutines csv ctypes dataclasses defaultdict deque descr dict difflib enum exceptions finalization
float fork1 fractions functools gc generators heapq importlib json list logging memoryio memoryview
minidom multibytecodec ordered_dict os poll pyexpat re sax select set slice sort string struct sys
tempfile thread threading threading_local traceback tracemalloc tuple types typing unicode unpack
urllib userdict userlist wait3 wait4 weakref xml_etree xml_etree_c zipimport zlib
""".split()
# These take as long as all of the others.
_LONG = """
buffer bz2 cmd_line_script compile datetime decimal faulthandler hashlib inspect itertools lzma
math mmap pickle queue random selectors shelve statistics subprocess tarfile threadsignals tokenize
zipfile
""".split()


def run_modules(box, names, least):
    """The verdict of each test; at least `least` of them must have run."""
    report = box.path("report.xml")
    result = box.run(["python3", "-m", "test", f"-j{box.threads}", "--timeout", 300,
                      "--junit-xml", report, *[f"test_{name}" for name in names]],
                     env={"PYTHONMALLOC": "malloc"}, expect=None)
    lines = result.stdout.decode(errors="replace").splitlines()
    trouble = [line for line in lines if "failed" in line or "crashed" in line]
    box.check(result.status == 0, f"python -m test ended with status {result.status}: "
                                  f"{' | '.join(trouble[:6])}")
    counts = {}
    for suite in xml.etree.ElementTree.parse(report).iter("testcase"):
        verdict = "passed"
        for kind in ("failure", "error", "skipped"):
            if suite.find(kind) is not None:
                verdict = kind
        name = suite.get("name")
        counts[name] = verdict
    box.check(len(counts) > least, f"only {len(counts)} tests ran")
    return "".join(f"{name} {counts[name]}\n" for name in sorted(counts))


@case("python-suite", packages=["python3", "libpython3.11-testsuite"],
      programs=["python3"], threads=(2,), timeout=600, serial=True)
def python_suite(box):
    """python3's own tests, 74 modules: the same result for each test"""
    return run_modules(box, _SHORT, 5000)


@case("python-suite-long", group="long", packages=["python3", "libpython3.11-testsuite"],
      programs=["python3"], threads=(2,), timeout=900, serial=True)
def python_suite_long(box):
    """python3's own tests, the modules that take longest"""
    return run_modules(box, _LONG, 2000)
