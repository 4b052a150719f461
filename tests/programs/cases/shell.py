"""The tools every machine has: bash, perl, tar, xz, sort and their kin."""

from lib import generate
from lib.registry import case

_BASH = r"""
declare -A seen
for ((i = 0; i < 30000; i++)); do
  key="k$((i * 7919 % 5003))"
  seen[$key]+="$i,"
done
total=0
for key in "${!seen[@]}"; do total=$((total + ${#seen[$key]})); done
echo "${#seen[@]} $total"
text=""
for ((i = 0; i < 3000; i++)); do text+="line $i ${text:0:20}"$'\n'; done
echo "${#text} ${text//line/row}" | md5sum
for ((i = 0; i < 60; i++)); do echo "$(echo $i | cat)"; done | paste -sd+ 
mapfile -t rows < <(seq 1 20000); echo "${#rows[@]} ${rows[777]}"
( for ((i = 0; i < 20; i++)); do ( echo "child $i" ) & wait $!; done ) | sort | md5sum
"""

_PERL = r"""
use strict; use warnings; use Config; use Digest::SHA qw(sha256_hex); use List::Util qw(sum);
my $count = shift;
sub work {
  my $seed = shift; my (%h, @a);
  for my $i (1 .. 40000) {
    my $n = ($i * 48271 + $seed * 65537) % 2147483647;
    push @{$h{"w" . $n % 2111}}, "x" x ($n % 70);
    $a[$n % 997] .= chr(65 + $n % 26);
  }
  my $text = join ",", map { "$_=" . join("", @{$h{$_}}) } sort keys %h;
  $text =~ s/(x{3,5})(=|,)/<$1>$2/g;
  return sha256_hex($text . join("|", map { $_ // "" } @a)) . " " . sum(map { scalar @$_ } values %h);
}
if ($count == 1) { print work(1), "\n"; print work(2), "\n"; }
else {
  die "perl without threads\n" unless $Config{useithreads};
  require threads;
  for my $round (1 .. 2) {
    my @t = map { my $n = $_; threads->create(sub { work($n) }) } 1 .. $count;
    print $_->join, "\n" for @t;
  }
}
"""


@case("bash", group="dev", packages=["bash"], programs=["bash"])
def bash(box):
    """bash: arrays, long strings, many subshells and pipes"""
    return box.text(["bash", "--norc", box.write("job.sh", _BASH)])


@case("perl", group="dev", packages=["perl"], programs=["perl"], threads=(1, 2))
def perl(box):
    """perl: hashes, strings and regular expressions; interpreter threads"""
    return box.text(["perl", box.write("job.pl", _PERL), box.threads],
                    env={"PERL_HASH_SEED": "0"})


@case("archive", group="dev", packages=["tar", "xz-utils", "gzip", "bzip2"],
      programs=["tar", "xz"], threads=(1, 2), must_load=["xz"])
def archive(box):
    """tar with xz -T, unpacked again and compared; gzip and bzip2"""
    for number in range(80):
        box.write(f"tree/d{number % 9}/f{number}", generate.text(number, 700))
    box.write("tree/noise", generate.random_bytes(1, 3_000_000))
    box.run(["tar", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner",
             "-cf", "tree.tar", "tree"])
    box.run(["xz", "-k", "-2", f"-T{box.threads}", "--block-size=2MiB", "tree.tar"])
    box.run(["xz", "-t", f"-T{box.threads}", "tree.tar.xz"])
    box.write("back/keep", "")
    box.run(["tar", "-xJf", "tree.tar.xz", "-C", "back"])
    output = box.digest("tree.tar.xz") + "\n" + box.digest_tree("back/tree")
    box.check(box.digest_tree("tree") == box.digest_tree("back/tree"),
              "what tar unpacked is not what it packed")
    for tool in ("gzip", "bzip2"):
        box.run([tool, "-kn" if tool == "gzip" else "-k", "tree.tar"])
        suffix = {"gzip": "gz", "bzip2": "bz2"}[tool]
        output += box.digest(f"tree.tar.{suffix}") + "\n"
    return output


@case("sort", group="dev", packages=["coreutils", "grep", "sed", "mawk", "diffutils"],
      programs=["sort", "grep", "sed", "awk", "diff"], threads=(1, 2), must_load=["sort"])
def sort(box):
    """sort --parallel, uniq, join, sed, grep, awk, diff on 12 MB of text"""
    box.write("text", generate.text(21, 200000, 8))
    box.run(["sort", f"--parallel={box.threads}", "-S", "200M", "-o", "sorted", "text"],
            env={"LC_ALL": "C.UTF-8"})
    box.run(["sort", f"--parallel={box.threads}", "-S", "3M", "-k3,3", "-k1,1r", "-s", "-o",
             "by-third", "text"], env={"LC_ALL": "C"})
    output = box.digest("sorted") + "\n" + box.digest("by-third") + "\n"
    output += box.text(["grep", "-cE", "(ka|lo)mi.*ter.*su(van|pre)", "text"])
    box.write("head", b"".join(box.read("text").splitlines(True)[:20000]))
    output += box.text(["awk", "{ n[$1] += length($0) } END { for (k in n) s += n[k]; print s }",
                        "text"])
    box.run(["sed", "-n", "s/ka\\(.*\\)lo/[\\1]/p", "head"])
    box.write("other", box.text(["sed", "7~13d;s/mi/MI/2", "head"]))
    output += box.text(["diff", "head", "other"], expect=1)
    return output
