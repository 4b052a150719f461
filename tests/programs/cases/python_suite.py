"""A good part of python3's own test suite."""

import xml.etree.ElementTree

from lib.registry import case

# Modules that pass on the system's malloc with PYTHONMALLOC=malloc, need no network, no
# terminal and no display, and take seconds. Left out for their time: asyncio,
# concurrent_futures, multiprocessing_*, ssl, signal.
_MODULES = """
array ast asyncgen atexit argparse buffer bufio bz2 cmath cmd_line_script codecs collections
compile complex context contextlib copy coroutines csv ctypes dataclasses datetime decimal
defaultdict deque descr dict difflib enum exceptions faulthandler finalization float fork1
fractions functools gc generators hashlib heapq importlib inspect itertools json list logging
lzma math memoryio memoryview minidom mmap multibytecodec ordered_dict os pickle poll pyexpat
queue random re sax select selectors set shelve slice sort statistics string struct subprocess
sys tarfile tempfile thread threading threading_local threadsignals tokenize traceback
tracemalloc tuple types typing unicode unpack urllib userdict userlist wait3 wait4 weakref
xml_etree xml_etree_c zipfile zipimport zlib
""".split()


@case("python-suite", packages=["python3", "libpython3.11-testsuite"],
      programs=["python3"], threads=(2,), timeout=900, serial=True)
def python_suite(box):
    """python3's own tests, about a hundred modules: the same result for each test"""
    report = box.path("report.xml")
    result = box.run(["python3", "-m", "test", f"-j{box.threads}", "--timeout", 300,
                      "--junit-xml", report, *[f"test_{name}" for name in _MODULES]],
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
    box.check(len(counts) > 5000, f"only {len(counts)} tests ran")
    return "".join(f"{name} {counts[name]}\n" for name in sorted(counts))
