#!/usr/bin/python3
"""tide fleet's questions about a made-up fleet: the answers are what was put in, and both engines
give the same."""

import json
import pathlib
import re
import struct
import tempfile
import unittest

from fleet_support import FleetTest, HOUR, TIDE, USAGE, clickhouse, tide

END = 1_790_000_000
MIB = 1 << 20

FIGURES = ("live_bytes live_blocks large_live_bytes large_live_blocks huge_live_bytes "
           "huge_live_blocks cached_bytes free_dirty_bytes huge_cached_bytes returned_bytes "
           "metadata_bytes mapped_bytes thread_caches heaps purge_calls purged_bytes "
           "retaken_bytes purge_max_ns purge_total_ns background_turns limit_bytes "
           "footprint_bytes limit_soft_bytes limit_hard_bytes").split()


def sample(time, processes):
    """A line of tide top --json: {(pid, command): live bytes}."""
    rows = []
    for (pid, command), live in processes.items():
        figures = {name: 0 for name in FIGURES}
        figures.update(live_bytes=live, live_blocks=live // 64, cached_bytes=live // 8,
                       free_dirty_bytes=live // 4, returned_bytes=live // 2, metadata_bytes=1000)
        rows.append({"process_id": pid, "command": command, "rss_bytes": 2 * live, **figures,
                     "classes": [{"block_bytes": 64, "slabs": 1, "live_blocks": live // 64,
                                  "cached_blocks": 5, "free_blocks": 1},
                                 {"block_bytes": 128, "slabs": 1, "live_blocks": pid,
                                  "cached_blocks": 0, "free_blocks": 0}],
                     "threads": []})
    return json.dumps({"schema": "tide-top", "schema_version": 1, "time": time,
                       "processes": rows, "not_permitted": 0}) + "\n"


def profile(time, pid, stacks):
    """A profile as the library writes it: {(frame, ...): live bytes}. Without mappings a frame's
    name is its address."""
    frames, rows = [], b""
    for number, (stack, live) in enumerate(stacks.items()):
        total = struct.pack("<4d", live / 64, live, 100, 64.0 * live)
        rows += struct.pack("<QII", number + 1, len(frames), len(stack)) + total * 3
        rows += struct.pack("<4d", 0, 0, 0, 0) + struct.pack("<dQQQQ", 0, 0, 0, 3, 3)
        frames += stack
    table = struct.pack("<IIQQQQ4d4dQQQQIIII", 1, 1, 512 << 10, 0, 1, 0, *[0.0] * 8, 0, 0, 0, 0,
                        len(stacks), len(frames), 0, 0)
    head = struct.pack("<QIIQQiI", 0x656c69666f727074, 1, len(table), 2, int(time * 1e9), pid, 0)
    return head + table + rows + struct.pack(f"<{len(frames)}Q", *frames)


LEAK, STEADY, SAW = (0x1000, 0x2000, 0x3000), (0x1010, 0x2000, 0x3000), (0x1020, 0x3000)


class OnSqlite(FleetTest):
    """Two hosts and eight hours; version 2 of the shop needs twice as much and leaks."""

    def setUp(self):
        super().setUp()
        # Made once for all tests of a class: none of them changes an answer.
        if "made" not in type(self).__dict__:
            folder = tempfile.TemporaryDirectory(prefix="tide-fleet-")
            type(self).addClassCleanup(folder.cleanup)
            self.folder = pathlib.Path(folder.name)
            self.db = self.new_database()
            self.write_files()
            self.fill()
            type(self).made = (self.folder, self.db)
        self.folder, self.db = self.made

    def new_database(self):
        return self.path("fleet.db")

    def write_files(self):
        for host, factor in (("alpha", 1), ("beta", 2)):
            for version, hours in (("1", range(0, 4)), ("2", range(4, 9))):
                lines = ""
                for hour in hours:
                    live = 10 * MIB * int(version) + (MIB if host == "beta" else 0)
                    lines += sample(END + (hour - 8) * HOUR,
                                    {(100, "shop"): live, (200, "mail"): 4 * MIB})
                (self.folder / f"{host}{version}.json").write_text(lines)
            for hour in range(9):
                (self.folder / f"{host}{hour}.profile").write_bytes(profile(END + (hour - 8) * HOUR, 100, {
                    LEAK: MIB * (1 + factor * hour), STEADY: 5 * MIB,
                    SAW: MIB * (1 + 7 * (hour % 2))}))

    def fill(self):
        for host in ("alpha", "beta"):
            for version in "12":
                self.fleet("import", self.path(f"{host}{version}.json"), "--host", host,
                           "--version", version)
            for hour in range(9):
                self.fleet("import", self.path(f"{host}{hour}.profile"), "--host", host,
                           "--service", "shop", "--version", "1" if hour < 4 else "2")

    def rows(self, *arguments):
        return self.ask(*arguments)["rows"]

    def test_top_by_service_and_host(self):
        rows = {row["name"]: row for row in self.rows("top", "--by", "service")}
        self.assertEqual(list(rows), ["shop", "mail"])
        self.assertEqual(rows["shop"]["live_bytes"], 41 * MIB)
        self.assertEqual(rows["shop"]["rss_bytes"], 82 * MIB)
        self.assertEqual(rows["shop"]["processes"], 2)
        self.assertEqual(rows["mail"]["returned_bytes"], 4 * MIB)
        rows = {row["name"]: row for row in self.rows("top", "--by", "host")}
        self.assertEqual(rows["beta"]["live_bytes"], 25 * MIB)
        self.assertEqual([row["name"] for row in self.rows("top", "--by", "host", "--top", "1")],
                         ["beta"])

    def test_top_by_class_and_stack(self):
        rows = {row["name"]: row for row in self.rows("top", "--by", "class")}
        self.assertEqual(rows["64"]["live_bytes"], 49 * MIB)
        self.assertEqual(rows["128"]["live_blocks"], 600)
        rows = {row["functions"][0]: row for row in self.rows("top", "--by", "stack")}
        self.assertEqual(rows["0x1000"]["live_bytes"], (9 + 17) * MIB)
        self.assertEqual(rows["0x1000"]["functions"], ["0x1000", "0x2000", "0x3000"])
        self.assertEqual(rows["0x1010"]["live_bytes"], 10 * MIB)
        self.assertAlmostEqual(rows["0x1010"]["live_error_bytes"], (2 * 64 * 5 * MIB) ** 0.5,
                               delta=2)

    def test_kinds_of_profiles(self):
        def of(kind, *more):
            return {row["functions"][0]: row for row in self.rows("top", "--kind", kind, *more)}
        self.assertEqual(of("inuse")["0x1000"]["live_bytes"], (9 + 17) * MIB)
        self.assertEqual(of("peak")["0x1000"]["peak_bytes"], (9 + 17) * MIB)
        self.assertEqual(of("allocated")["0x1010"]["allocated_bytes"], 10 * MIB)
        # Each version is a process of its own: 3 and 6 hours of leaking, then 4 and 8.
        grown = of("growth", "--from", "8h")
        self.assertEqual(list(grown), ["0x1000", "0x1020"])
        self.assertEqual(grown["0x1000"]["grown_bytes"], (3 + 6 + 4 + 8) * MIB)
        [row] = self.rows("top", "--kind", "growth", "--by", "host", "--from", "3h", "--host", "beta")
        self.assertEqual((row["name"], row["grown_bytes"]), ("beta", (6 - 7) * MIB))
        # These profiles have nothing that was freed, and nobody looked at pages.
        for kind in ("lifetime", "fragmentation", "residency"):
            self.assertEqual(of(kind), {})

    def test_top_at_another_time_and_of_one_service(self):
        [row] = self.rows("top", "--to", "5h", "--service", "shop", "--host", "alpha")
        self.assertEqual(row["live_bytes"], 10 * MIB)
        [row] = self.rows("top", "--version", "2", "--service", "mail", "--host", "alpha")
        self.assertEqual(row["live_bytes"], 4 * MIB)
        self.assertEqual(self.rows("top", "--service", "it's \\ none"), [])

    def test_diff_of_versions_and_times(self):
        for span in (("--versions", "1", "2"), ("--before", "8h..5h", "--after", "4h..0")):
            first, second = self.rows("diff", *span)
            self.assertEqual(first, {"before_bytes": 10.5 * MIB, "after_bytes": 20.5 * MIB,
                                     "name": "shop"})
            self.assertEqual(second["before_bytes"], second["after_bytes"])
        rows = self.rows("diff", "--versions", "1", "2", "--by", "stack")
        self.assertEqual(rows[0]["functions"][0], "0x1000")
        self.assertEqual(rows[0]["before_bytes"], 3.25 * MIB)
        self.assertEqual(rows[0]["after_bytes"], 10 * MIB)
        rows = {row["name"]: row for row in self.rows("diff", "--versions", "1", "2", "--by",
                                                      "class")}
        self.assertEqual(rows["128"]["before_bytes"], 128 * 150)

    def test_leaks(self):
        found = self.ask("leaks")
        self.assertEqual([row["functions"][0] for row in found["rows"]], ["0x1000"])
        [row] = found["rows"]
        # Each version is a process of its own, of four and of five hours.
        self.assertEqual(row["hosts"], 2)
        self.assertEqual(row["processes"], 4)
        self.assertEqual(row["grown_bytes"], (3 + 4) * 3 * MIB)
        self.assertEqual(row["live_bytes"], (4 + 7 + 9 + 17) * MIB)
        self.assertAlmostEqual(row["bytes_per_step"], 2 * (1 + 2) * MIB)
        self.assertEqual(self.rows("leaks", "--hosts", "3"), [])
        self.assertEqual(self.rows("leaks", "--least", "100M"), [])
        self.assertEqual(self.rows("leaks", "--from", "2h"), [])

    def test_rss(self):
        rows = self.rows("rss", "--step", "1h", "--from", "8h")
        self.assertEqual(len(rows), 9)
        self.assertEqual([row["live_bytes"] // MIB for row in rows], [29] * 4 + [49] * 5)
        self.assertEqual(rows[0]["processes"], 4)
        self.assertEqual(rows[0]["rss_over_live"], 2)
        self.assertEqual(self.rows("rss", "--step", "12h", "--from", "8h", "--service", "mail")[-1]
                         ["free_dirty_bytes"] % MIB, 0)

    def test_report_is_a_page_with_what_was_asked(self):
        page = self.path("page.html")
        self.fleet("report", "--from", "8h", "-o", page, "--title", "my <fleet>")
        with open(page, encoding="utf-8") as file:
            text = file.read()
        for words in ("my &lt;fleet&gt;", "0x1000 grows on 2 hosts"):
            self.assertTrue(words in text, words)
        self.assertTrue(re.search(r'(src|href)="http', text) is None)

    def test_report_has_the_stacks_over_time_and_what_pins(self):
        data = self.ask("report", "--from", "8h")
        items = {item["id"]: item for section in data["sections"] for item in section["items"]}
        layers = {s["name"]: [round(value / MIB) for _, value in s["points"]] for s in items["fleet-by-stack"]["series"]}
        leak = next(values for name, values in layers.items() if name.startswith("0x1000"))
        self.assertEqual(leak[-1], (1 + 8) + (1 + 16))
        self.assertEqual(sorted(set(leak)), [2 + 3 * hour for hour in range(9)])
        self.assertEqual(leak, sorted(leak))
        steady = next(values for name, values in layers.items() if name.startswith("0x1010"))
        self.assertEqual(set(steady), {10})
        rows = self.rows("top", "--by", "stack", "--kind", "fragmentation")
        self.assertEqual([row[1] for row in items["pinning"]["rows"]],
                         [row["pinned_bytes"] for row in rows if row["pinned_bytes"] > 0])

    def test_files_that_are_given_again_double_nothing(self):
        before = self.sql("SELECT count(*), sum(live_bytes) FROM statistics")
        self.fleet("import", self.path("alpha1.json"), "--host", "alpha", "--version", "1")
        self.fleet("import", self.path("alpha3.profile"), "--host", "alpha", "--service", "shop",
                   "--version", "1")
        self.assertEqual(self.sql("SELECT count(*), sum(live_bytes) FROM statistics"), before)

    def test_tables_for_people_have_the_same_numbers(self):
        self.assertRegex(self.fleet("top"), r"(?m)^ *2 +41\.0M +82\.0M .* shop$")
        self.assertRegex(self.fleet("leaks"), r"(?m)^ *2 +4 +21\.0M .* 0x1000 < 0x2000 < 0x3000$")
        self.assertRegex(self.fleet("diff", "--versions", "1", "2"),
                         r"10\.5M +20\.5M +\+10\.0M +\+95\.2 +shop")
        self.assertIn("RSS/LIVE", self.fleet("rss"))

    def test_bad_usage(self):
        for arguments, words in ((("top", "--by", "color"), ("color", "service")),
                                 (("top", "--from", "yesterday"), ("yesterday",)),
                                 (("top", "--top", "-1"), ("--top", "'-1'")),
                                 (("top", "--top", "0"), ("--top", "'0'")),
                                 (("leaks", "--top", "0"), ("--top", "'0'")),
                                 (("top", "--from", "1h", "--to", "2h"), ("--from", "--to")),
                                 (("diff",), ("--versions", "--before")),
                                 (("expire",), ("--older-than",)),
                                 (("report",), ("-o",)), (("sql",), ("question",)),
                                 (("import",), ("file",))):
            self.assert_refused(tide("fleet", *arguments, "--db", self.db,
                                     env=clickhouse.ENVIRONMENT), USAGE, *words)
        for arguments, words in ((("--kind", "leaked"), ("--kind", "leaked", "growth")),
                                 (("--kind", "inuse", "--by", "class"), ("--kind", "size classes"))):
            self.assert_refused(tide("fleet", "top", *arguments, "--db", self.db,
                                     env=clickhouse.ENVIRONMENT), USAGE, *words)
        self.assert_refused(tide("fleet", "leak"), USAGE, "leak", "leaks")
        self.assert_refused(tide("fleet", "sql", "SELECT nonsense FROM nowhere", "--db", self.db,
                                 env=clickhouse.ENVIRONMENT), 1, "no")
        for statement in ("SELECT 1; SELECT 2", "SELECT ';' ; -- first\n SELECT 2", "SELECT 1; nonsense"):
            self.assert_refused(tide("fleet", "sql", statement, "--db", self.db,
                                     env=clickhouse.ENVIRONMENT), 1, "one question at a time",
                                statement[-8:])
        for statement in "SELECT 1;", "SELECT 1 ; -- SELECT 2", "SELECT 1 /* ; */ ;; /* 2 */":
            self.assertEqual(len(self.sql(statement)), 1, statement)
        # Nothing is changed by who asks.
        before = self.sql("SELECT count(*) FROM statistics")
        for statement in "DROP TABLE statistics", "CREATE TABLE more (a Int64)", ";", "-- nothing":
            self.assert_refused(tide("fleet", "sql", statement, "--db", self.db,
                                     env=clickhouse.ENVIRONMENT), 1)
        self.assertEqual(self.sql("SELECT count(*) FROM statistics"), before)
        self.assert_refused(tide("fleet", "top", "--db", self.path("none.db")), 1, "none.db")


# Of each verb all answers, to be compared.
QUESTIONS = [("top", "--by", by) for by in
             ("host", "service", "version", "command", "process", "stack", "class")]
QUESTIONS += [("top", "--kind", kind, "--by", by) for kind in
              ("inuse", "allocated", "peak", "lifetime", "growth", "fragmentation", "residency")
              for by in ("stack", "service")]
QUESTIONS += [("diff", "--versions", "1", "2", "--by", by) for by in
              ("host", "service", "command", "stack", "class")]
QUESTIONS += [("leaks",), ("leaks", "--steps", "2", "--step", "2h"), ("rss", "--from", "8h"),
              ("rss", "--step", "90m", "--host", "beta"), ("top", "--from", "8h", "--to", "3h"),
              ("report", "--from", "8h"),
              ("sql", "SELECT table_is, n FROM (SELECT 'statistics' AS table_is, count(*) AS n "
               "FROM statistics UNION ALL SELECT 'size_classes', count(*) FROM size_classes UNION "
               "ALL SELECT 'profiles', count(*) FROM profiles UNION ALL SELECT 'processes', "
               "count(*) FROM processes UNION ALL SELECT 'stacks', count(*) FROM stacks UNION ALL "
               "SELECT 'frames', count(*) FROM frames) AS counts ORDER BY table_is"),
              ("sql", "SELECT process, host, pid, command, service, version FROM processes ORDER "
               "BY process")]


@unittest.skipIf(clickhouse.MISSING, clickhouse.MISSING)
class OnClickHouse(OnSqlite):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(clickhouse.Server())

    def new_database(self):
        return self.server.database("fleet")

    def test_every_question_has_the_same_answer_as_on_sqlite(self):
        other = self.path("other.db")
        clickhouse_db, self.db = self.db, other
        self.fill()
        for question in QUESTIONS:
            here = self.ask(*question, db=clickhouse_db)
            there = self.ask(*question, db=other)
            here.pop("about", None)
            there.pop("about", None)
            self.assertEqual(json.dumps(here).replace(clickhouse_db, other), json.dumps(there),
                             question)

    def test_attempts_that_were_broken_off_or_came_twice_do_not_count(self):
        name = self.db.rsplit("/", 1)[1]
        before = [self.ask(*question) for question in QUESTIONS]
        [columns] = [[column["name"] for column in table["columns"]]
                     for table in self.ask_schema() if table["name"] == "statistics"]
        for shift in (1, 2):
            # Twice all rows again, under attempts of their own.
            self.server.ask(f"INSERT INTO {name}.statistics_rows SELECT {', '.join(columns)}, batch + "
                            f"{shift} FROM {name}.statistics_rows WHERE batch IN "
                            f"(SELECT min(batch) FROM {name}.batches_rows GROUP BY batch_id)")
        # The first of them came to their end: their answers were lost.
        self.server.ask(f"INSERT INTO {name}.batches_rows SELECT batch_id, batch + 1, host FROM "
                        f"{name}.batches_rows")
        rows = int(self.server.ask(f"SELECT count() FROM {name}.statistics_rows"))
        self.assertEqual(rows, 3 * self.sql("SELECT count(*) FROM statistics")[0][0])
        for question, answer in zip(QUESTIONS, before):
            self.assertEqual(self.ask(*question), answer, question)

    def ask_schema(self):
        return json.loads(tide("fleet", "schema", "--json").stdout)["tables"]


if __name__ == "__main__":
    unittest.main()
