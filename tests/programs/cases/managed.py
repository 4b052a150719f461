"""Managed languages: java, node, ruby, php, lua, erlang, guile, prolog."""

from lib.registry import case

_JAVA = r"""
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.*;
import java.util.concurrent.*;
import java.util.zip.*;

public class Job {
  static String work(int seed) throws Exception {
    Random random = new Random(seed);
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    for (int round = 0; round < 15; round++) {
      byte[] data = new byte[20000 + random.nextInt(60000)];
      for (int i = 0; i < data.length; i++) data[i] = (byte) (i * 7 % (seed + 13));
      Deflater deflater = new Deflater(6);
      deflater.setInput(data);
      deflater.finish();
      byte[] packed = new byte[data.length + 100];
      int size = deflater.deflate(packed);
      deflater.end();
      Inflater inflater = new Inflater();
      inflater.setInput(packed, 0, size);
      byte[] back = new byte[data.length];
      if (inflater.inflate(back) != data.length || !Arrays.equals(data, back))
        throw new IllegalStateException("zlib round trip");
      inflater.end();
      ByteBuffer direct = ByteBuffer.allocateDirect(1 + random.nextInt(300000));
      while (direct.remaining() > 8) direct.putLong(random.nextLong());
      direct.flip();
      digest.update(direct);
      digest.update(back);
      Map<String, List<Integer>> map = new HashMap<>();
      for (int i = 0; i < 3000; i++)
        map.computeIfAbsent("k" + random.nextInt(500), k -> new ArrayList<>()).add(i);
      digest.update(new TreeMap<>(map).toString().getBytes());
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  public static void main(String[] args) throws Exception {
    int threads = Integer.parseInt(args[0]);
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    List<Future<String>> results = new ArrayList<>();
    for (int i = 0; i < 24; i++) { int seed = i; results.add(pool.submit(() -> work(seed))); }
    for (Future<String> result : results) System.out.println(result.get());
    pool.shutdown();
    for (int i = 0; i < 300; i++) { Thread t = new Thread(() -> ByteBuffer.allocateDirect(4096)); t.start(); t.join(); }
    System.gc();
    System.out.println(new Scanner("done").next());
  }
}
"""

_NODE = r"""
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto'), zlib = require('zlib'), cp = require('child_process');
function work(seed) {
  const hash = crypto.createHash('sha256');
  let x = seed + 1;
  const next = () => (x = (x * 48271) % 2147483647);
  for (let round = 0; round < 12; round++) {
    const buffers = [];
    for (let i = 0; i < 200; i++) buffers.push(Buffer.alloc(next() % 20000, i));
    const all = Buffer.concat(buffers);
    hash.update(zlib.inflateSync(zlib.deflateSync(all, { level: 1 })));
    hash.update(zlib.brotliDecompressSync(zlib.brotliCompressSync(all.subarray(0, 20000),
      { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 3 } })));
    const map = new Map();
    for (let i = 0; i < 3000; i++) map.set('k' + next() % 999, 'v'.repeat(next() % 60));
    hash.update(JSON.stringify([...map].sort()));
    const shared = new SharedArrayBuffer(next() % 100000);
    hash.update(String(shared.byteLength));
  }
  return hash.digest('hex');
}
if (isMainThread) {
  const count = Number(process.argv[2]);
  const results = [];
  let left = 8, started = 0;
  const launch = () => {
    if (started >= 8) return;
    const seed = started++;
    const worker = new Worker(__filename, { workerData: seed });
    worker.on('message', (m) => { results[seed] = m; });
    worker.on('error', (e) => { throw e; });
    worker.on('exit', () => { left--; if (left === 0) finish(); else launch(); });
  };
  const finish = () => {
    console.log(results.join('\n'));
    console.log(cp.execFileSync(process.execPath, ['-e', 'console.log(6 * 7)']).toString());
    crypto.pbkdf2('a', 'b', 2000, 64, 'sha512', (e, key) => console.log(key.toString('hex')));
  };
  for (let i = 0; i < count; i++) launch();
} else parentPort.postMessage(work(workerData));
"""

_RUBY = r"""
require 'digest/sha2' # before the threads: digest's own lazy loading can fail when two of them are first
require 'json'; require 'zlib'; require 'set'; require 'fiber'
def work(seed)
  random = Random.new(seed)
  digest = Digest::SHA256.new
  6.times do
    table = Hash.new { |h, k| h[k] = [] }
    8000.times { |i| table["k#{random.rand(900)}"] << "v" * random.rand(80) << i }
    digest << Zlib::Inflate.inflate(Zlib::Deflate.deflate(JSON.generate(table.sort.to_h)))
    digest << table.keys.map { |k| k.gsub(/\d+/) { |n| (n.to_i * 3).to_s } }.sort.join
    digest << (2**3000 + seed).pow(3).to_s
    digest << Array.new(200) { |i| Fiber.new { Fiber.yield i; i * 2 } }.map { |f| f.resume; f.resume }.sum.to_s
  end
  digest.hexdigest
end
count = ARGV[0].to_i
queue = Queue.new
8.times { |i| queue << i }
results = {}
lock = Mutex.new
Array.new(count) { Thread.new { loop { seed = queue.pop(true) rescue break; r = work(seed); lock.synchronize { results[seed] = r } } } }.each(&:join)
puts results.sort.map { |k, v| "#{k} #{v}" }
200.times { Thread.new { "x" * 100_000 }.join }
r, w = IO.pipe
pid = fork { r.close; w << work(99); w.close; GC.start }
w.close
puts r.read
Process.wait(pid)
puts $?.exitstatus
GC.compact # by one thread alone: ruby 3.1 moves arrays that another thread is sorting
puts work(3) == results[3]
GC.compact
puts ObjectSpace.each_object(Class).count > 100
"""

_PHP = r"""<?php
mt_srand(5);
$digest = hash_init('sha256');
for ($round = 0; $round < 6; $round++) {
  $table = [];
  for ($i = 0; $i < 30000; $i++) {
    $table['k' . mt_rand(0, 4000)][] = str_repeat(chr(65 + $i % 26), mt_rand(0, 90));
  }
  ksort($table);
  hash_update($digest, json_encode($table));
  $text = implode(' ', array_map(fn($rows) => implode('', $rows), $table));
  hash_update($digest, preg_replace_callback('/(A+)(B|C)/', fn($m) => strlen($m[1]) . $m[2], $text));
  hash_update($digest, gzuncompress(gzcompress($text)) === $text ? 'ok' : 'bad');
  $nodes = [];
  for ($i = 0; $i < 20000; $i++) { $o = new stdClass; $o->self = $o; $o->data = [$i]; $nodes[$i % 500] = $o; }
  $nodes = null;
  hash_update($digest, (string) (gc_collect_cycles() >= 0));
}
echo hash_final($digest), "\n";
"""

_LUA = r"""
local random = 42
local function next_number(n) random = (random * 16807) % 2147483647; return random % n end
local function tree(depth) if depth == 0 then return {} end
  return {tree(depth - 1), tree(depth - 1), data = ("x"):rep(next_number(60))} end
local function count(t) if not t then return 0 end return 1 + count(t[1]) + count(t[2]) + (t.data and #t.data or 0) end
local total = 0
for round = 1, 6 do
  total = total + count(tree(15))
  local words, parts = {}, {}
  for i = 1, 40000 do local k = "k" .. next_number(3000); words[k] = (words[k] or "") .. i % 10 end
  for k, v in pairs(words) do parts[#parts + 1] = k .. "=" .. v end
  table.sort(parts)
  local text = table.concat(parts, ";")
  text = text:gsub("(%d%d)=", "<%1>")
  for i = 1, #text, 997 do total = (total * 31 + text:byte(i)) % 1000000007 end
  collectgarbage()
end
print(total)
local co = {}
for i = 1, 20000 do co[i] = coroutine.wrap(function() coroutine.yield(i) return i * 2 end); total = total + co[i]() end
for i = 1, 20000, 2 do total = total + co[i]() end
print(total)
"""

_ERLANG = r"""
Work = fun(Seed) ->
  L = [{(I * 48271 + Seed) rem 9973, list_to_binary(lists:duplicate(I rem 300, $a))} || I <- lists:seq(1, 20000)],
  M = maps:from_list(L),
  B = term_to_binary(lists:sort(maps:to_list(M)), [compressed]),
  true = lists:sort(maps:to_list(M)) =:= binary_to_term(B),
  erlang:phash2(lists:sort(maps:to_list(M)))
end,
Self = self(),
[spawn(fun() -> Self ! {S, Work(S)} end) || S <- lists:seq(1, 10)],
R = [receive {S, H} -> {S, H} end || S <- lists:seq(1, 10)],
T = ets:new(t, [public, {write_concurrency, true}]),
P = [spawn_monitor(fun() -> [ets:insert(T, {{S, I}, binary:copy(<<"z">>, I rem 500)}) || I <- lists:seq(1, 4000)] end) || S <- lists:seq(1, 8)],
[receive {'DOWN', Ref, process, _, normal} -> ok end || {_, Ref} <- P],
Sum = ets:foldl(fun({_, V}, A) -> A + byte_size(V) end, 0, T),
io:format("~p~n~p ~p~n", [R, ets:info(T, size), Sum]),
init:stop().
"""

_GUILE = r"""
(use-modules (ice-9 threads) (srfi srfi-1))
(define (work seed)
  (let ((table (make-hash-table)))
    (do ((i 0 (+ i 1))) ((= i 60000))
      (let ((key (modulo (* (+ i seed) 48271) 9973)))
        (hash-set! table key (cons i (hash-ref table key '())))))
    (let ((sum (hash-fold (lambda (k v acc) (+ acc (* k (length v)) (string-length (number->string (fold * 1 (take v (min 6 (length v)))))))) 0 table)))
      (gc)
      (modulo (* sum (expt 7 300)) 1000000007))))
(for-each (lambda (n) (display n) (newline)) (par-map work (iota 6)))
(for-each join-thread (map (lambda (i) (call-with-new-thread (lambda () (make-vector 5000 i)))) (iota 100)))
(display (string-length (apply string-append (map number->string (iota 50000)))))
(newline)
"""

_PROLOG = r"""
queens(N, Qs) :- numlist(1, N, Ns), select_q(Ns, [], Qs).
select_q([], Qs, Qs).
select_q(Un, Safe, Qs) :- select(Q, Un, R), \+ attack(Q, 1, Safe), select_q(R, [Q|Safe], Qs).
attack(X, N, [Y|_]) :- X is Y + N ; X is Y - N.
attack(X, N, [_|Ys]) :- N1 is N + 1, attack(X, N1, Ys).
work(S, R) :- findall(Q, (queens(7, Q)), L), length(L, Len),
  forall(between(1, 8000, I), (K is (I * 31 + S) mod 977, atom_concat(key, K, A), assertz(fact(S, A, I)))),
  aggregate_all(count, fact(S, key5, _), C), aggregate_all(sum(I), fact(S, _, I), Sum),
  retractall(fact(S, key7, _)), X is 7 ** 900 mod 1000003, R = r(Len, C, Sum, X).
:- thread_local fact/3.
:- initialization((numlist(1, 6, L), concurrent_maplist(work, L, Rs), print(Rs), nl,
   garbage_collect_atoms, halt)).
"""


@case("java", packages=["default-jdk-headless"], programs=["java", "javac"],
      must_load=["java", "javac"], threads=(1, 4), timeout=300)
def java(box):
    """java: compiled by javac, then a pool of threads with zlib and direct buffers"""
    box.write("Job.java", _JAVA)
    box.run(["javac", "Job.java"])
    output = box.text(["java", "-Xmx300m", "-XX:MaxDirectMemorySize=400m", "Job", box.threads])
    return output + box.text(["java", "-Xmx300m", "-XX:+UseSerialGC", "-Xint", "-version"])


@case("node", packages=["nodejs"], programs=["node"], threads=(1, 2), timeout=300)
def node(box):
    """node: worker threads with buffers, zlib, brotli, crypto and a child process"""
    return box.text(["node", box.write("job.js", _NODE), box.threads])


@case("ruby", packages=["ruby"], programs=["ruby"], threads=(1, 2), timeout=300)
def ruby(box):
    """ruby: threads, fibers, GC.compact, zlib, fork"""
    return box.text(["ruby", box.write("job.rb", _RUBY), box.threads])


@case("php", packages=["php-cli"], programs=["php"])
def php(box):
    """php with its own allocator off and on, with all extensions"""
    # php loads extensions with RTLD_DEEPBIND, so without help from the library they would call
    # the C library's free for blocks that php took from the preloaded malloc.
    script = box.write("job.php", _PHP)
    return box.text(["php", script], env={"USE_ZEND_ALLOC": "0"}) + box.text(["php", script])


@case("lua", packages=["lua5.4"], programs=["lua5.4"])
def lua(box):
    """lua5.4: trees, strings, coroutines"""
    return box.text(["lua5.4", box.write("job.lua", _LUA)])


@case("luajit", packages=["luajit"], programs=["luajit"])
def luajit(box):
    """luajit: the same with its own low-memory allocator beside the library"""
    return box.text(["luajit", box.write("job.lua", _LUA)])


@case("erlang", packages=["erlang-base"], programs=["erl"], must_load=["beam.smp"],
      threads=(1, 2))
def erlang(box):
    """erlang with all its allocators set to plain malloc, schedulers as threads"""
    return box.text(["erl", "+S", f"{box.threads}:{box.threads}", "+Mea", "min", "-noshell",
                     "-eval", _ERLANG])


@case("guile", packages=["guile-3.0"], programs=["guile"], threads=(2,))
def guile(box):
    """guile: a conservative collector that scans data, stacks and thread storage"""
    return box.text(["guile", "--no-auto-compile", box.write("job.scm", _GUILE)])


@case("prolog", packages=["swi-prolog-nox"], programs=["swipl"], threads=(2,))
def prolog(box):
    """swipl: linked with another allocator, threads that assert and retract facts"""
    return box.text(["swipl", box.write("job.pl", _PROLOG)])
