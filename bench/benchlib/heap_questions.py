"""Cores of programs that hold very many blocks, and questions that are asked of them."""
import os
import resource
import subprocess
import sys
import time


def make_core(args, folder):
    """The path of a core of heap_many, in the page cache."""
    environment = dict(os.environ)
    if args.allocator == "tide":
        environment["LD_PRELOAD"] = f"{args.build}/lib/libtide.so"
    limit = resource.RLIM_INFINITY
    subprocess.run([f"{args.build}/bin/heap_many", str(int(args.millions * 1e6))], cwd=folder,
                   env=environment, stderr=subprocess.DEVNULL,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (limit, limit)))
    cores = [name for name in os.listdir(folder) if name.startswith("core")]
    if not cores:
        sys.exit("no core was written: see /proc/sys/kernel/core_pattern")
    core = os.path.join(folder, cores[0])
    with open(core, "rb") as file:  # into the page cache
        while file.read(1 << 24):
            pass
    return core


def anonymous(pid):
    """Bytes of a process's own memory: a mapped core does not count."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Anonymous:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def ask(command, script=None, limit=None):
    """Seconds in all and until the first byte, peak of own memory, exit status (None: it took more
    seconds than `limit` and was ended)."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    if script:
        process.stdin.write(script.encode())
    process.stdin.close()
    first, peak, tail, looked = None, 0, b"", 0.0
    os.set_blocking(process.stdout.fileno(), False)
    while True:
        data = process.stdout.read(1 << 20)
        now = time.monotonic()
        if data:
            first = first or now - begin
            tail = (tail + data)[-4000:]
        if now - looked > 0.05:
            peak, looked = max(peak, anonymous(process.pid)), now
        if limit is not None and now - begin > limit:
            process.kill()
            process.wait()
            return now - begin, first, peak, None
        if data == b"" or (data is None and process.poll() is not None):
            break
        if not data:
            time.sleep(0.002)
    process.wait()
    return time.monotonic() - begin, first, peak, process.returncode
