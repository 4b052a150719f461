"""git: a generated repository, its history rewritten into packs by threads."""

import random

from lib import generate
from lib.registry import case

_IDENTITY = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
             for what, value in (("NAME", "Ann Other"), ("EMAIL", "ann@example.org"),
                                 ("DATE", "2024-01-01T00:00:00Z"))}
_ENV = dict(_IDENTITY, GIT_CONFIG_NOSYSTEM="1")


def _history(commits, files):
    """A stream for git fast-import: each commit changes some lines of some files."""
    source = random.Random(11)
    contents = {f"dir{n % 7}/file{n}.txt": generate.text(n, 160).splitlines()
                for n in range(files)}
    stream = []
    for number in range(commits):
        message = f"change {number}"
        stream.append(f"commit refs/heads/main\ncommitter Ann Other <ann@example.org> "
                      f"{1700000000 + number} +0000\ndata {len(message)}\n{message}\n")
        chosen = contents if number == 0 else source.sample(sorted(contents), 5)
        for name in chosen:
            lines = contents[name]
            for _ in range(4):
                lines[source.randrange(len(lines))] = f"{number} {source.random()}"
            body = "\n".join(lines) + "\n"
            stream.append(f"M 644 inline {name}\ndata {len(body)}\n{body}\n")
    return "".join(stream)


@case("git", group="dev", packages=["git"], programs=["git"], threads=(1, 2), timeout=300)
def git(box):
    """git: fast-import, gc --aggressive with threads, clone, log, blame, grep, fsck"""
    box.write("stream", _history(450, 60))

    def in_repository(*words, where="repo", **options):
        return box.text(["git", "-C", where, "-c", f"pack.threads={box.threads}", "-c",
                         f"grep.threads={box.threads}", "-c", "gc.auto=0", *words],
                        env=_ENV, **options)

    box.run(["git", "init", "-q", "-b", "main", "repo"], env=_ENV)
    in_repository("fast-import", "--quiet", stdin=box.path("stream"))
    in_repository("reset", "-q", "--hard")
    box.write("repo/dir1/new.txt", generate.text(99, 300))
    in_repository("add", "-A")
    in_repository("commit", "-q", "-m", "by hand")
    in_repository("gc", "-q", "--aggressive", "--prune=now")
    output = in_repository("fsck", "--full", "--strict")
    output += in_repository("log", "--stat", "--format=%H %s", "-n", "200")
    output += in_repository("blame", "dir3/file3.txt")
    output += in_repository("grep", "-n", "-c", "kalo")
    output += in_repository("diff", "HEAD~100", "HEAD")
    box.run(["git", "clone", "-q", "--no-local", "repo", "copy"], env=_ENV)
    output += in_repository("rev-parse", "HEAD", where="copy")
    output += in_repository("fsck", where="copy")
    return output
