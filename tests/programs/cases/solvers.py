"""Programs that compute: z3, rocksdb, numpy, gawk, gdb, openssl."""

import textwrap

from lib import generate
from lib.registry import case


def _pigeons(count):
    """count + 1 pigeons in `count` holes: unsatisfiable."""
    lines = ["(set-logic QF_UF)"]
    lines += [f"(declare-const p{i}_{j} Bool)" for i in range(count + 1) for j in range(count)]
    for i in range(count + 1):
        lines.append(f"(assert (or {' '.join(f'p{i}_{j}' for j in range(count))}))")
    for j in range(count):
        for i in range(count + 1):
            lines += [f"(assert (or (not p{i}_{j}) (not p{k}_{j})))" for k in range(i)]
    return "\n".join(lines + ["(check-sat)", "(get-info :reason-unknown)"]) + "\n"


_ARITHMETIC = """
(declare-fun f (Int) Int) (declare-const a (Array Int Int)) (declare-const x Int) (declare-const y Int)
(declare-const b (_ BitVec 24)) (declare-const c (_ BitVec 24))
(push) (assert (forall ((i Int)) (=> (and (<= 0 i) (< i 50)) (= (f (+ i 1)) (+ (f i) (* 2 i) 1)))))
(assert (= (f 0) 0)) (assert (not (= (f 30) 900))) (check-sat) (pop)
(push) (assert (= (bvmul b c) #x0fffeb)) (assert (bvugt b #x000001)) (assert (bvugt c #x000001))
(assert (bvult b #x001000)) (assert (bvult c #x001000)) (check-sat) (pop)
(push) (assert (= (select (store (store a x 1) y 2) x) 1)) (assert (= x y)) (check-sat) (pop)
(push) (assert (= (* x x x) 74088)) (assert (> x 0)) (check-sat) (get-value (x)) (pop)
"""


@case("z3", packages=["z3"], programs=["z3"], threads=(1, 2), timeout=300)
def z3(box):
    """z3: pigeons, quantifiers, bit vectors, arrays; answers known"""
    options = ["parallel.enable=true", f"parallel.threads.max={box.threads}"] \
        if box.threads > 1 else []
    pigeons = box.text(["z3", *options, "-T:250", box.write("pigeons.smt2", _pigeons(7))],
                       expect=None)
    box.check(pigeons.startswith("unsat\n"), f"z3 says of the pigeons: {pigeons[:100]}")
    answers = box.text(["z3", "-T:250", box.write("arithmetic.smt2", _ARITHMETIC)])
    box.check(answers.split()[0] == "unsat" and answers.split()[2] == "unsat",
              f"z3 gives wrong answers: {answers[:100]}")
    return pigeons.splitlines()[0] + "\n" + answers


@case("rocksdb", packages=["rocksdb-tools"], programs=["db_bench", "ldb"],
      must_load=["db_bench"], threads=(1, 2), timeout=300)
def rocksdb(box):
    """rocksdb's db_bench: fill, overwrite, read, scan, delete, compact; the data compared"""
    common = [f"--db={box.path('db')}", "--seed=7", "--num=12000", "--value_size=200",
              "--compression_type=zstd", "--write_buffer_size=1000000", "--cache_size=2000000",
              "--max_background_jobs=2", "--subcompactions=2", "--disable_wal=0",
              "--bloom_bits=10", f"--threads={box.threads}"]
    result = box.text(["db_bench", *common,
                       "--benchmarks=fillrandom,overwrite,readrandom,readseq,"
                       "seekrandom,multireadrandom,compact,verifychecksum"])
    box.check("verifychecksum" in result, "db_bench did not come to verifychecksum")
    box.run(["ldb", f"--db={box.path('db')}", "checkconsistency"])
    scan = box.text(["ldb", f"--db={box.path('db')}", "scan", "--key_hex", "--value_hex"])
    # With more threads than one, whose value of a key stays is a race; the keys are not.
    box.run(["rm", "-r", "db"])
    box.run(["db_bench", *common, "--benchmarks=fillseq,compact,levelstats"])
    keys = box.text(["ldb", f"--db={box.path('db')}", "scan", "--key_hex"
                     if box.threads > 1 else "--hex"])
    box.check(scan.count(" : ") > 5000, "the database holds too little")
    if box.threads > 1:
        keys = "".join(line.split(" : ")[0] + "\n" for line in keys.splitlines())
    return keys


_NUMPY = """
    import sys, threading, hashlib
    import numpy as np
    def work(seed, out):
        rng = np.random.default_rng(seed)
        parts = []
        for size in (100, 3000, 50000, 700000):
            a = rng.integers(0, 1 << 40, size)
            b = np.sort(a)[::-1].copy()
            parts += [b[:50].sum(), np.unique(a % 997).size, (a ^ b).sum(), np.cumsum(a)[-1]]
            grid = np.resize(a, (size // 10, 10)).astype(np.float64)
            parts.append(int((grid @ grid.T[:, :20] > 1e20).sum()))
            parts.append(np.fft.rfft(grid[:100].ravel()).size)
            words = np.array([str(x) for x in a[:2000]], dtype=object)
            parts.append(len("".join(words[np.argsort(a[:2000])])))
        out[seed] = hashlib.sha256(repr([int(p) for p in parts]).encode()).hexdigest()
    out = {}
    count = int(sys.argv[1])
    for start in range(0, 8, count):
        threads = [threading.Thread(target=work, args=(start + i, out)) for i in range(count)]
        for t in threads: t.start()
        for t in threads: t.join()
    print(sorted(out.items()))
"""


@case("numpy", packages=["python3-numpy"], programs=["python3"], threads=(1, 2))
def numpy(box):
    """numpy: arrays of all sizes, sorted and multiplied in threads"""
    found = box.run(["python3", "-c", "import numpy"], expect=None)
    box.check(found.status == 0, "numpy is not installed; run 'apt-get install python3-numpy'")
    return box.text(["python3", box.write("job.py", textwrap.dedent(_NUMPY)), box.threads],
                    env={"PYTHONMALLOC": "malloc", "OMP_NUM_THREADS": box.threads,
                         "OPENBLAS_NUM_THREADS": box.threads})


_GAWK = r"""
{ for (i = 1; i <= NF; i++) { n[$i]++; where[$i] = where[$i] " " NR; if (length(where[$i]) > 400) where[$i] = substr(where[$i], 200) } }
END { c = asorti(n, names); for (i = 1; i <= c; i++) { t = gensub(/([aeiou])(.)/, "\\2\\1", "g", names[i]); s = s t n[names[i]]; if (i % 50 == 0) print length(s), where[names[i]] }
  delete n; for (i = 0; i < 200000; i++) a[i % 5000][i % 7] = i; print length(a), a[77][3]; print toupper(substr(s, 1, 200)) }
"""


@case("gawk", packages=["gawk"], programs=["gawk"])
def gawk(box):
    """gawk: arrays of arrays, sorting, regular expressions"""
    box.write("text", generate.text(8, 60000))
    return box.text(["gawk", "-f", box.write("job.awk", _GAWK), "text"])


@case("gdb", packages=["gdb", "gcc"], programs=["gdb", "gcc"], must_load=["gdb"], timeout=300)
def gdb(box):
    """gdb: runs a program with breakpoints, reads types and symbols, python inside"""
    box.write("job.c", "#include <stdio.h>\n#include <stdlib.h>\nstruct pair { int a; char *b; };\n"
                       "int twice(struct pair *p, int n) {\n  return n ? twice(p, n - 1) + 2 : p->a;\n}\n"
                       "int main(void) {\n  struct pair p = {5, malloc(100)};\n"
                       "  printf(\"%d\\n\", twice(&p, 9));\n  free(p.b);\n  return 3;\n}\n")
    box.run(["gcc", "-g", "-O0", "-o", "job", "job.c"])
    box.write("commands", "set confirm off\nset style enabled off\nbreak twice if n == 2\n"
              "run > printed\nbt\ninfo locals\nptype struct pair\nprint p->a + n\nfinish\n"
              "info line twice\npython import gdb, json\n"
              "python print(json.dumps([f.name() for f in [gdb.selected_frame()]]))\n"
              "python x = [gdb.Value(i) for i in range(20000)]; print(int(sum(x)))\n"
              "disassemble twice\ncontinue\n")
    result = box.run(["gdb", "-nx", "-batch", "-x", box.path("commands"), box.path("job")],
                     env={"DEBUGINFOD_URLS": ""})
    import re
    output = re.sub(r"0x[0-9a-f]+", "0x", result.stdout.decode(errors="replace"))
    output = re.sub(r"process \d+|\(?LWP \d+\)?", "process", output)
    box.check("exited with code 03" in output, f"gdb's program did not end well: {output[-300:]}")
    return output + box.read("printed").decode()


@case("openssl", packages=["openssl"], programs=["openssl"], threads=(1, 2), timeout=300)
def openssl(box):
    """openssl: keys, requests, certificates, ciphers, a TLS connection, speed -multi"""
    box.write("text", generate.text(4, 20000))
    fixed = bytes.fromhex("302e020100300506032b657004220420") + bytes(range(32))
    box.write("fixed.der", fixed)
    output = ""
    box.run(["openssl", "pkey", "-inform", "DER", "-in", "fixed.der", "-out", "fixed.pem"])
    output += box.text(["openssl", "pkey", "-in", "fixed.pem", "-pubout"])
    box.run(["openssl", "pkeyutl", "-sign", "-inkey", "fixed.pem", "-rawin", "-in", "text",
             "-out", "signature"])
    output += box.digest("signature") + "\n"
    for name in ("rsa:2048", "ed25519"):
        box.run(["openssl", "req", "-x509", "-newkey", name, "-nodes", "-keyout", "key.pem",
                 "-out", "cert.pem", "-subj", "/CN=localhost", "-days", 9])
        output += box.text(["openssl", "verify", "-CAfile", "cert.pem", "cert.pem"])
    for digest in ("sha256", "sha512", "blake2b512", "sha3-256"):
        output += box.text(["openssl", "dgst", f"-{digest}", "text"])
    for cipher in ("aes-256-cbc", "chacha20", "camellia-128-ctr"):
        box.run(["openssl", "enc", f"-{cipher}", "-pbkdf2", "-S", "0011223344556677", "-k", "word",
                 "-in", "text", "-out", "sealed"])
        box.run(["openssl", "enc", "-d", f"-{cipher}", "-pbkdf2", "-S", "0011223344556677", "-k", "word",
                 "-in", "sealed", "-out", "opened"])
        box.check(box.read("opened") == box.read("text"), f"openssl {cipher}: not the same back")
        output += box.digest("sealed") + "\n"
    multi = ["-multi", box.threads] if box.threads > 1 else []
    box.run(["openssl", "speed", "-seconds", 1, "-bytes", 8192, *multi, "sha256", "ecdsap256"])
    output += _tls(box)
    return output


def _tls(box):
    """s_server answers s_client with the file it serves."""
    port = box.free_port()
    server = box.serve(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert",
                        "cert.pem", "-key", "key.pem", "-WWW", "-quiet"], port)
    box.write("request", "GET /text HTTP/1.0\r\n\r\n")
    answers = [box.text(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile",
                         "cert.pem", "-quiet", "-verify_return_error"],
                        stdin=box.path("request")) for _ in range(5)]
    box.check(len(set(answers)) == 1 and len(answers[0]) > 100000,
              f"TLS answers differ or are short: {[len(each) for each in answers]}")
    server.stop(expect=-15)
    return answers[0][:200]
