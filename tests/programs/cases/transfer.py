"""Moving data: rsync, curl, pigz and zstd."""

import http.server
import os
import threading

from lib import generate
from lib.registry import case


@case("rsync", packages=["rsync"], programs=["rsync"])
def rsync(box):
    """rsync: copies a tree, then only the differences, then compressed"""
    for number in range(150):
        box.write(f"tree/d{number % 12}/f{number}", generate.text(number, 150))
    box.write("tree/big", generate.random_bytes(2, 6_000_000))
    box.run(["rsync", "-a", "tree/", "copy/"])
    box.check(box.digest_tree("tree") == box.digest_tree("copy"), "rsync made a bad copy")
    for number in range(0, 150, 4):
        box.write(f"tree/d{number % 12}/f{number}", generate.text(number, 160))
    data = bytearray(box.read("tree/big"))
    data[1_000_000:1_000_000] = b"new bytes in the middle"
    box.write("tree/big", bytes(data))
    os.remove(box.path("tree/d1/f1"))
    changes = box.text(["rsync", "-ai", "--checksum", "--no-whole-file", "--delete", "tree/",
                        "copy/"])
    box.run(["rsync", "-a", "-z", "--no-whole-file", "tree/", "second/"])
    for copy in ("copy", "second"):
        box.check(box.digest_tree("tree") == box.digest_tree(copy), "rsync made a bad copy")
    # Folders are named when their time differs, which hangs on how fast all this ran.
    names = sorted(line.split(" ", 1)[1] for line in changes.splitlines() if line[-1] != "/")
    return "\n".join(names) + "\n" + box.digest_tree("copy")


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass


@case("curl", packages=["curl"], programs=["curl"], threads=(1, 8))
def curl(box):
    """curl: many transfers, one after the other and side by side"""
    names = [f"f{number}" for number in range(60)]
    for number, name in enumerate(names):
        box.write(f"www/{name}", generate.text(number, 1 + number * 20))
    os.makedirs(box.path("got"))

    def handler(*arguments):
        return _QuietHandler(*arguments, directory=box.path("www"))

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        parallel = ["--parallel", "--parallel-max", box.threads] if box.threads > 1 else []
        words = []
        for name in names:
            words += ["-o", f"got/{name}", f"{address}/{name}"]
        for _ in range(6):
            box.run(["curl", "-sS", "--fail", *parallel, *words])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    box.check(box.digest_tree("www") == box.digest_tree("got"), "curl got something else")
    return box.digest_tree("got")


@case("pigz", packages=["pigz", "zstd"], programs=["pigz", "zstd"], threads=(1, 2))
def pigz(box):
    """pigz and zstd with threads, there and back"""
    box.write("data", generate.text(31, 60000).encode() + generate.random_bytes(3, 1_000_000))
    output = ""
    for level in (1, 6):
        box.run(["pigz", "-k", "-f", f"-{level}", "-n", "-m", "-p", box.threads, "data"])
        output += box.digest("data.gz") + "\n"
    box.write("plain", box.run(["pigz", "-dc", "-p", box.threads, "data.gz"]).stdout)
    box.check(box.digest("plain") == box.digest("data"), "pigz: not the same back")
    for level in (3, 9):
        box.run(["zstd", "-q", "-f", "-k", f"-{level}", f"-T{box.threads}", "data"])
        output += box.digest("data.zst") + "\n"
    box.run(["zstd", "-q", "-d", "-f", "data.zst", "-o", "plain"])
    box.check(box.digest("plain") == box.digest("data"), "zstd: not the same back")
    return output
