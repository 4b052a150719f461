"""Which allocators there are, where their libraries lie, and the environment that preloads one."""

import glob
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from .process import mapped_file

ROOT = Path(__file__).resolve().parents[2]
LIBRARY_FOLDERS = ("/usr/lib/*-linux-gnu", "/lib/*-linux-gnu", "/usr/lib64", "/usr/local/lib")

# name, library as a pattern below a library folder (or from the root), Debian package
KNOWN = (
    ("tide", str(ROOT / "build/release/lib/libtide.so"), "make"),
    ("glibc", None, None),
    ("jemalloc", "libjemalloc.so.2", "libjemalloc2"),
    ("mimalloc", "libmimalloc.so.2", "libmimalloc2.0"),
    ("tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
    ("tbb", "libtbbmalloc_proxy.so.2", "libtbbmalloc2"),
    ("scudo", "/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-x86_64.so",
     "libclang-rt-14-dev"),
)
# Options with which an allocator gives memory back sooner or by itself, where it has some:
# start of the library's file name, variant, variable, value.
RETURN_OPTIONS = (
    ("libjemalloc", "background", "MALLOC_CONF", "background_thread:true"),
    ("libmimalloc", "at_once", "MIMALLOC_PURGE_DELAY", "0"),
    ("libtcmalloc_minimal", "eager", "TCMALLOC_RELEASE_RATE", "10"),
    ("libclang_rt.scudo", "soon", "SCUDO_OPTIONS", "release_to_os_interval_ms=100"),  # 0 takes minutes
)

KNOWN_NAMES = tuple(row[0] for row in KNOWN)


class PeerError(Exception):
    """A peer that cannot be used; the text says which and what to do."""


@dataclass
class Peer:
    name: str
    library: str | None          # None: the C library's own malloc, nothing preloaded
    variables: dict = field(default_factory=dict)

    def preload(self):
        return os.path.realpath(self.library) if self.library else None

    def environment(self, base=None):
        """The environment of a process on this allocator."""
        result = dict(os.environ if base is None else base)
        others = [p for p in result.get("LD_PRELOAD", "").replace(":", " ").split() if p]
        if self.library:
            others.insert(0, self.preload())
        if others:
            result["LD_PRELOAD"] = ":".join(others)
        result.update(self.variables)
        return result

    def file_name(self):
        """The library's real file name; the C library's own when nothing is preloaded."""
        return os.path.basename(self.preload() or c_library())

    def describe(self):
        """What the ledger keeps: no folders, so that records of two machines compare."""
        path = self.preload() or c_library()
        return {"name": self.name, "library": self.file_name(), "sha256": sha256(path),
                "preloaded": self.library is not None, "env": dict(self.variables)}


def variant(peer, name, variable, value):
    """The same allocator with one more variable, as NAME+VARIANT."""
    return Peer(f"{peer.name}+{name}", peer.library, {**peer.variables, variable: value})


def return_variants(chosen):
    """The allocators with their own options for giving memory back that nobody set."""
    return [variant(peer, name, variable, value) for peer in chosen for start, name, variable, value in RETURN_OPTIONS
            if peer.library and peer.file_name().startswith(start) and variable not in peer.variables]


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def c_library():
    """Path of the C library that this process runs on."""
    path = mapped_file("libc.so.6")
    if path is None:
        raise PeerError("no libc.so.6 in this process: the C library's malloc cannot be named")
    return path


def find_library(pattern):
    folders = ("",) if pattern.startswith("/") else LIBRARY_FOLDERS
    for folder in folders:
        # Newest first; a link to nothing (a library that is being linked anew) is no library.
        found = [path for path in sorted(glob.glob(os.path.join(folder, pattern)), reverse=True)
                 if os.path.isfile(path)]
        if found:
            return found[0]
    return None


def known(name):
    """The peer of that name. Raises PeerError with the package to install when it is missing."""
    for known_name, pattern, package in KNOWN:
        if known_name != name:
            continue
        if pattern is None:
            return Peer(name, None)
        path = find_library(pattern)
        if path:
            return Peer(name, path)
        if package == "make":
            raise PeerError("no build/release/lib/libtide.so: run make")
        raise PeerError(f"{name} is not installed: apt-get install {package}")
    raise PeerError(f"unknown allocator '{name}': it is none of {', '.join(KNOWN_NAMES)}; "
                    "give other libraries as --peer NAME=PATH")


def given(text):
    """A peer from the NAME=PATH of --peer."""
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise PeerError(f"--peer '{text}': write NAME=PATH")
    if not os.path.isfile(path):
        raise PeerError(f"--peer {name}: no file {path}")
    return Peer(name, os.path.abspath(path))


def choose(with_names, peer_texts, variable_texts):
    """The peers to run, in order, and one line for each known one that is missing."""
    chosen, missing = [], []
    explicit = with_names is not None
    for name in with_names if explicit else KNOWN_NAMES:
        try:
            chosen.append(known(name))
        except PeerError as error:
            if explicit and name not in KNOWN_NAMES:
                raise
            missing.append(str(error))
    chosen += [given(text) for text in peer_texts]
    names = [peer.name for peer in chosen]
    for name in names:
        if names.count(name) > 1:
            raise PeerError(f"allocator '{name}' is named twice")
    for text in variable_texts:
        name, colon, assignment = text.partition(":")
        variable, equals, value = assignment.partition("=")
        if not colon or not equals or not variable:
            raise PeerError(f"--env '{text}': write NAME:VARIABLE=VALUE")
        matches = [peer for peer in chosen if peer.name == name]
        if not matches:
            raise PeerError(f"--env '{text}': no allocator '{name}' in this run")
        matches[0].variables[variable] = value
    if not chosen:
        raise PeerError("no allocator to run: " + "; ".join(missing))
    return chosen, missing
