"""Facts about this machine and this checkout that every record of the ledger carries."""

import os
import re
import subprocess

from .peers import ROOT

# Variables that change how some allocator behaves: recorded with their values when set.
ALLOCATOR_VARIABLES = ("TIDE_", "MALLOC_", "MIMALLOC_", "TCMALLOC_", "GLIBC_TUNABLES", "TBB_", "SCUDO_",
                       "LD_PRELOAD", "_RJEM_", "RPMALLOC_")


def read_line(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""


def cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith(("model name", "Model", "cpu model")):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return os.uname().machine


def transparent_huge_pages():
    """The mode between brackets in the kernel's file."""
    line = read_line("/sys/kernel/mm/transparent_hugepage/enabled")
    return line[line.find("[") + 1:line.find("]")] if "[" in line else "unknown"


def git(*arguments):
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def memory_mib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20


def facts():
    return {
        "commit": git("rev-parse", "HEAD") or "none",
        "dirty": bool(git("status", "--porcelain", "--untracked-files=all", "--", ":/", ":!/bench/ledger")),
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": memory_mib(),
        "kernel": os.uname().release,
        "libc": os.confstr("CS_GNU_LIBC_VERSION"),
        "thp": transparent_huge_pages(),
        "overcommit": read_line("/proc/sys/vm/overcommit_memory"),
        "environment": {name: hide_folders(value) for name, value in sorted(os.environ.items())
                        if name.startswith(ALLOCATOR_VARIABLES)},
    }


# The folders of an absolute path that stands at the start of a word or behind = : , or a quote.
FOLDERS = re.compile(r"(?:(?<=^)|(?<=[\s=:,'\"]))/(?:[^\s=:,'\"/]+/)+")


def hide_folders(text):
    """Paths inside the checkout become relative to it; of others the last part stays."""
    return FOLDERS.sub("", text.replace(str(ROOT) + os.sep, ""))


def load_warning():
    """A line when other work keeps the cores busy now; None when not."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load < 0.5 * cores:
        return None
    return (f"the load average is {load:.1f} on {cores} cores: other work disturbs the wall times; "
            "CPU times and memory suffer less")
