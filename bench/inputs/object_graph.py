"""Builds a large graph of small Python objects, works on it, drops all but a small result, idles.

bench/demo runs it with PYTHONMALLOC=malloc, so that every object is a malloc block. It prints one
line with a digest when the graph is gone, then waits for its standard input to end.
"""

import gc
import hashlib
import sys

NODES = 110_000
ROUNDS = 2
KEPT_OF = 400     # one node's name in so many is kept: the result of the work


class Node:
    def __init__(self, name, weight):
        self.name = name
        self.weight = weight
        self.neighbours = []
        self.marks = {"seen": False, weight % 7: name[:4]}


def numbers(seed):
    """A fixed sequence: the same on every machine and every run."""
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield state >> 33


def build(seed):
    source = numbers(seed)
    nodes = {}
    names = []
    for index in range(NODES):
        draw = next(source)
        name = f"node-{index}-" + "abcdefghij"[draw % 10] * (draw % 90)
        nodes[name] = Node(name, draw % 1000)
        names.append(name)
        for _ in range(draw % 4):
            nodes[name].neighbours.append(nodes[names[next(source) % len(names)]])
    return nodes


def work(nodes):
    total = 0
    for node in nodes.values():
        node.marks["seen"] = True
        total += node.weight + sum(other.weight for other in node.neighbours)
    texts = sorted((node.weight, node.name) for node in nodes.values() if node.weight % 3 == 0)
    return total, hashlib.sha256(repr(texts).encode()).hexdigest()


def main():
    digest = hashlib.sha256()
    kept = []
    for round_number in range(ROUNDS):
        nodes = build(round_number)
        digest.update(repr(work(nodes)).encode())
        kept += [name + "!" for index, name in enumerate(nodes) if index % KEPT_OF == 0]
        nodes = None
    gc.collect()
    digest.update(repr(kept).encode())
    print(f"dropped {digest.hexdigest()}", flush=True)
    sys.stdin.read()


main()
