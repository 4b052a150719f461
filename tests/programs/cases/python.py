"""python3 with its own small-object allocator off, so that every object is a malloc."""

import textwrap

from lib.registry import case

_MALLOC = {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "1"}

_GRAPH = """
    import random, hashlib, gc
    rng = random.Random(7)
    class Node:
        __slots__ = ("key", "next", "data", "__weakref__")
        def __init__(self, key):
            self.key, self.next, self.data = key, [], {}
    digest = hashlib.sha256()
    for generation in range(2):
        nodes = [Node(i) for i in range(60000)]
        for node in nodes:
            node.next = rng.sample(nodes, 3)
            node.data = {f"k{j}": "x" * rng.randint(0, 90) for j in range(4)}
        rng.shuffle(nodes)
        for node in nodes[:30000]:
            digest.update(repr((node.key, [n.key for n in node.next], node.data)).encode())
        table = {str(n.key): (n.key, bytes(n.key % 3000)) for n in nodes}
        digest.update(str(sum(len(v[1]) for v in table.values())).encode())
        del nodes[::2]
        big = [bytearray(rng.randint(1, 400000)) for _ in range(200)]
        for b in big:
            b.extend(bytes(rng.randint(0, 100000)))
        digest.update(str(sum(map(len, big))).encode())
        nodes = table = big = None
        gc.collect()
    print(digest.hexdigest())
"""

_THREADS = """
    import sys, threading, queue, json, zlib, hashlib, random
    count = int(sys.argv[1])
    boxes = [queue.Queue(64) for _ in range(count)]
    results = [0] * count
    def work(me):
        rng = random.Random(me)
        for step in range(1500):
            record = {"me": me, "step": step, "list": [rng.random() for _ in range(40)],
                      "text": "ab" * rng.randint(1, 2000)}
            packed = zlib.compress(json.dumps(record).encode())
            boxes[(me + 1) % count].put(packed)
            got = json.loads(zlib.decompress(boxes[me].get()))
            results[me] = (results[me] * 31 + hash(tuple(got["list"])) + len(got["text"])) % (1 << 61)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for t in threads: t.start()
    for t in threads: t.join()
    # Short threads: what an ended thread held must not be lost or broken.
    kept = []
    def short(i): kept.append((i, [bytes(j) for j in range(i % 50)]))
    for start in range(0, 600, 8):
        batch = [threading.Thread(target=short, args=(start + k,)) for k in range(8)]
        for t in batch: t.start()
        for t in batch: t.join()
    print(results, sum(len(k[1]) for k in kept), hashlib.sha256(repr(sorted(kept)).encode()).hexdigest())
"""

_FORK = """
    import os, sys, threading, subprocess, hashlib
    stop = False
    def churn():
        keep = []
        while not stop:
            keep.append(bytearray(hash(len(keep)) % 5000 + 10))
            if len(keep) > 500: del keep[::3]
    threads = [threading.Thread(target=churn) for _ in range(2)]
    for t in threads: t.start()
    answers = []
    for i in range(60):
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            data = [str(j) * (j % 100) for j in range(2000)]
            thread = threading.Thread(target=lambda: data.append("t" * 100000))
            thread.start(); thread.join()
            os.write(w, hashlib.sha256("".join(data).encode()).hexdigest().encode())
            os._exit(7)
        os.close(w)
        answers.append(os.read(r, 100))
        os.close(r)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 7: answers.append(b"bad status")
    for i in range(20):
        answers.append(subprocess.run([sys.executable, "-c", f"print({i} * 'ab')"],
                                      capture_output=True, check=True).stdout)
    stop = True
    for t in threads: t.join()
    print(len(set(answers)), hashlib.sha256(b"".join(answers)).hexdigest())
"""

_POOL = """
    import multiprocessing, sys, hashlib
    def job(seed):
        words = [hashlib.sha256(f"{seed}.{i}".encode()).hexdigest() for i in range(3000)]
        words.sort()
        return {"seed": seed, "head": words[:20], "all": "".join(words)}
    if __name__ == "__main__":
        digest = hashlib.sha256()
        for method in ("fork", "forkserver", "spawn"):
            with multiprocessing.get_context(method).Pool(int(sys.argv[1])) as pool:
                for result in pool.imap(job, range(40), chunksize=3):
                    digest.update(repr(sorted(result.items())).encode())
                pool.close()
                pool.join()
        print(digest.hexdigest())
"""


def _python(box, program, *arguments):
    script = box.write("program.py", textwrap.dedent(program))
    return box.text(["python3", script, *arguments], env=_MALLOC)


@case("python-objects", group="dev", packages=["python3"], programs=["python3"])
def python_objects(box):
    """python3: builds and drops a large object graph twice"""
    return _python(box, _GRAPH)


@case("python-threads", group="dev", packages=["python3"], programs=["python3"],
      threads=(2, 4))
def python_threads(box):
    """python3: threads that hand objects to each other, then 600 short threads"""
    return _python(box, _THREADS, box.threads)


@case("python-fork", group="dev", packages=["python3"], programs=["python3"])
def python_fork(box):
    """python3: fork while other threads allocate, and subprocesses"""
    return _python(box, _FORK)


@case("python-processes", group="dev", packages=["python3"], programs=["python3"],
      threads=(2,))
def python_processes(box):
    """python3: multiprocessing pools by fork, forkserver and spawn"""
    return _python(box, _POOL, box.threads)
