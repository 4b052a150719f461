#!/usr/bin/python3
"""tide agent: its metrics are what a process says of itself, and what it sees comes to the database
once, whoever is killed."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from fleet_support import (FleetTest, TIDE, USAGE, clean_environment, clickhouse, on_tide,
                           running, tide)


class Agent:
    """One that runs; `lines` are what it says in JSON."""

    def __init__(self, *arguments, listen="127.0.0.1:0"):
        self.process = subprocess.Popen(
            [TIDE, "agent", "--json", "--listen", listen, *map(str, arguments)],
            env={**clean_environment(), **clickhouse.ENVIRONMENT}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        self.errors = ""
        self.first = json.loads(self.process.stdout.readline() or "{}")

    def page(self, path="/metrics"):
        url = f"http://127.0.0.1:{self.first['port']}{path}"
        return urllib.request.urlopen(url, timeout=200).read().decode()

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        output, self.errors = self.process.communicate(timeout=100)
        return json.loads(output) if output.strip() else None


def samples(page, pid):
    """{(metric, class or None): value} of a process."""
    found = {}
    for line in page.splitlines():
        match = re.fullmatch(r'(tide_\w+)\{(.*)\} (\S+)', line)
        if not match or f'pid="{pid}"' not in match[2]:
            continue
        of_class = re.search(r'class="(\d+)"', match[2])
        found[match[1], of_class and of_class[1]] = match[3]
    return found


class Metrics(FleetTest):
    def test_are_what_the_process_says(self):
        with on_tide() as (process, said):
            agent = Agent()
            page = agent.page()
            agent.end()
        values = samples(page, process.pid)
        for key in ("live_bytes", "live_blocks", "cached_bytes", "returned_bytes", "mapped_bytes",
                    "metadata_bytes", "huge_live_bytes", "footprint_bytes"):
            self.assertEqual(int(values["tide_" + key, None]), said[key], key)
        self.assertEqual(int(values["tide_purged_bytes_total", None]), said["purged_bytes"])
        self.assertAlmostEqual(float(values["tide_purge_seconds_total", None]),
                               said["purge_total_ns"] / 1e9, places=9)
        for entry in said["classes"]:
            name = str(entry["block_bytes"])
            self.assertEqual(int(values["tide_class_live_bytes", name]),
                             entry["live_blocks"] * entry["block_bytes"])
        self.assertGreater(int(values["tide_process_resident_bytes", None]), 40_000_000)

    def test_have_one_help_and_type_each_in_front_of_all_samples(self):
        with on_tide(), on_tide():
            agent = Agent()
            lines = agent.page().splitlines()
            agent.end()
        seen, current = set(), None
        for line in lines:
            if line.startswith("# HELP "):
                current = line.split()[2]
                self.assertNotIn(current, seen)
                seen.add(current)
            elif line.startswith("# TYPE "):
                self.assertEqual(line.split()[2:],
                                 [current, "counter" if current.endswith("_total") else "gauge"])
            else:
                self.assertEqual(re.match(r"\w+", line)[0], current)
        self.assertIn("tide_agent_processes", seen)

    def test_serves_nothing_else(self):
        agent = Agent()
        with self.assertRaises(urllib.error.HTTPError) as caught:
            agent.page("/other")
        self.assertEqual(caught.exception.code, 404)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://127.0.0.1:{agent.first['port']}/metrics", data=b"x")
        self.assertEqual(caught.exception.code, 405)
        agent.end()

    def test_labels_of_the_environment(self):
        with running(TIDE, "run", "--", "env", "TIDE_FLEET_SERVICE=sh\"op", "TIDE_FLEET_VERSION=1.4",
                     str(os.path.join(os.environ["TIDE_BUILD"], "bin/cli_holder"))) as (process, _):
            agent = Agent()
            page = agent.page()
            agent.end()
        [line] = [line for line in page.splitlines()
                  if line.startswith("tide_info") and f'pid="{process.pid}"' in line]
        self.assertIn('comm="cli_holder",service="sh\\"op"', line)
        self.assertIn('service_version="1.4"', line)

    def test_a_textfile_is_there_whole(self):
        with on_tide() as (process, said):
            result = tide("agent", "--once", "--textfile", self.folder)
            self.assertEqual(result.returncode, 0, result.stderr)
            values = samples((self.folder / "tide.prom").read_text(), process.pid)
        self.assertEqual(int(values["tide_live_bytes", None]), said["live_bytes"])
        self.assertEqual(os.listdir(self.folder), ["tide.prom"])

    def test_an_executed_program_is_another_process(self):
        script = f"read x; exec {TIDE} run -- {os.environ['TIDE_BUILD']}/bin/cli_holder"
        with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              env={**clean_environment(), "TIDE_PURGE": "off"}) as process:
            agent = Agent("--every", "100ms")
            self.assertEqual(samples(agent.page(), process.pid), {})
            process.stdin.write(b"\n")
            process.stdin.flush()
            said = json.loads(process.stdout.readline())
            for _ in range(100):  # a page is at most a second old, and may be of before it had all
                values = samples(agent.page(), process.pid)
                if values.get(("tide_live_bytes", None)) == str(said["live_bytes"]):
                    break
                time.sleep(0.1)
            agent.end()
            process.stdin.close()
        self.assertEqual(int(values["tide_live_bytes", None]), said["live_bytes"])


class BadUsage(FleetTest):
    def test_lines(self):
        for arguments, status, words in (
                (("--listen", "0.0.0.0:9464"), USAGE, ("0.0.0.0:9464", "--listen-anywhere")),
                (("--listen", "https://127.0.0.1:1"), USAGE, ("plain HTTP",)),
                (("--listen", "127.0.0.1"), USAGE, ("HOST:PORT",)),
                (("--textfile", "/nowhere"), USAGE, ("/nowhere",)),
                (("--every", "0s"), USAGE, ("--every", "0s")),
                (("--for", "soon"), USAGE, ("--for", "soon")),
                (("--once", "--listen", "0.0.0.0:9464"), USAGE, ("--listen-anywhere",)),
                (("--db", "mysql://x/y"), USAGE, ("mysql://x/y",)),
                (("--db", "clickhouse://u:hush@127.0.0.1/d"), USAGE, ("TIDE_FLEET_PASSWORD",)),
                (("--db", "clickhouse://u@db.example/d"), USAGE, ("db.example", "--plain")),
                (("123",), USAGE, ("all processes",))):
            result = tide("agent", *arguments)
            self.assert_refused(result, status, *words)
            self.assertNotIn("hush@", result.stderr)

    def test_a_port_that_is_taken(self):
        agent = Agent()
        self.assert_refused(tide("agent", "--listen", f"127.0.0.1:{agent.first['port']}"), 1,
                            "in use", "--listen")
        agent.end()

    def test_a_database_of_another_version(self):
        tide("agent", "--once", "--db", self.db, "--spool", self.path("spool"))
        with sqlite3.connect(self.db) as database:
            database.execute("UPDATE fleet SET version = 99")
        database.close()
        for verb in (("agent", "--once", "--spool", self.path("spool")), ("fleet", "top")):
            self.assert_refused(tide(*verb, "--db", self.db), 1, "version 99", "another database")

    def test_two_agents_and_a_spool(self):
        agent = Agent("--db", self.db, "--spool", self.path("spool"))
        self.assert_refused(tide("agent", "--once", "--db", self.db, "--spool", self.path("spool")),
                            1, "another tide agent", "--spool")
        agent.end()


# Where batches are counted: a sampled process that is on the machine by chance makes another.
NO_PROFILES = ("--profiles", "off")


class ShippingTest(FleetTest):
    def collected(self, db=None):
        """Of each look of an agent: how often it is there for each process."""
        rows = self.sql("SELECT process, time_ns, count(*) FROM statistics GROUP BY process, time_ns",
                        db=db)
        self.assertTrue(all(count == 1 for _, _, count in rows))
        return {time_ns for _, time_ns, _ in rows}

    def spooled(self):
        return sorted(name for name in os.listdir(self.path("spool")) if name.endswith(".batch"))

    def kill_again_and_again(self, db, disturb, repair, seed, processes=2):
        """Agents are killed at random while the database comes and goes. Then everything that was
        ever in the spool has to be in the database, once."""
        print("seed", seed)
        chance = random.Random(seed)
        with contextlib.ExitStack() as stack:
            for _ in range(processes):
                stack.enter_context(on_tide())
            for turn in range(100):
                # On a machine that does much else they get little done before they are killed.
                if turn >= 8 and turn % 2 == 0 and (
                        len(self.spooled()) > 8 or len(self.collected(db)) > 8):
                    break
                agent = Agent("--db", db, "--spool", self.path("spool"), "--every", "50ms",
                              listen="none")
                time.sleep(chance.uniform(0.05, 0.5) * (1 + turn // 8))
                if turn % 2 == 0:
                    disturb()
                    time.sleep(chance.uniform(0.05, 0.4))
                agent.end(signal.SIGKILL)
                if turn % 2 == 0:
                    repair()
        # With what is on the disk now nobody may lose anything any more.
        # (A batch of profiles is not called by its id: whether one waits depends on when the last
        # agent was killed.)
        names = {name.split("-", 1)[1].split(".")[0] for name in self.spooled()}
        waiting = {name for name in names if not name.startswith("profiles-")}
        agent = Agent("--db", db, "--spool", self.path("spool"), "--every", "1h", listen="none")
        for _ in range(1200):
            if not self.spooled():
                break
            time.sleep(0.05)
        agent.end()
        self.assertEqual(self.spooled(), [])
        self.assertGreater(len(self.collected(db)), 8)
        known = {name for [name] in self.sql(
            "SELECT batch_id FROM batches" + ("_rows" if "://" in db else ""), db=db)}
        self.assertLessEqual(waiting, known)


class Shipping(ShippingTest):
    def test_figures_and_descriptions_arrive(self):
        with on_tide() as (process, said):
            result = tide("agent", "--once", "--json", "--host", "h1", "--db", self.db, "--spool",
                          self.path("spool"), *NO_PROFILES)
            self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout.splitlines()[1])["shipped_batches"], 1)
        [[number, command]] = self.sql(
            f"SELECT process, command FROM processes WHERE pid = {process.pid}")
        self.assertEqual(command, "cli_holder")
        [[live, mapped]] = self.sql(
            f"SELECT live_bytes, mapped_bytes FROM statistics WHERE process = {number}")
        self.assertEqual((live, mapped), (said["live_bytes"], said["mapped_bytes"]))
        [[in_classes]] = self.sql(
            f"SELECT sum(live_blocks * block_bytes) FROM size_classes WHERE process = {number}")
        self.assertEqual(in_classes, sum(entry["live_blocks"] * entry["block_bytes"]
                                         for entry in said["classes"]))
        self.assertEqual(self.sql("SELECT host FROM hosts"), [["h1"]])

    def test_what_is_older_than_keep_goes(self):
        with on_tide():
            for number in (1, 2):
                result = tide("agent", "--once", "--host", "h1", "--db", self.db, "--spool", self.path("spool"),
                              *(["--keep", "1s"] if number == 2 else ["--keep", "1h"]))
                self.assertEqual(result.returncode, 0, result.stderr)
                time.sleep(1.1 if number == 1 else 0)
        # The first look is gone, the second is there; what a process is called stays.
        [[times]] = self.sql("SELECT count(DISTINCT time_ns) FROM statistics")
        self.assertEqual(times, 1)
        self.assertGreater(len(self.sql("SELECT command FROM processes")), 0)

    def test_a_full_spool_is_said_once_and_keeps_what_it_has(self):
        os.mkdir(self.path("no.db"))  # a database that cannot be opened
        with on_tide():
            agent = Agent("--db", self.path("no.db"), "--spool", self.path("spool"),
                          "--spool-size", "6K", "--every", "100ms", *NO_PROFILES)
            for _ in range(1000):
                if "refused_batches_total 0" not in agent.page():
                    break
                time.sleep(0.05)
            before = self.spooled()
            end = agent.end()
        self.assertGreater(end["refused_batches"], 0)
        self.assertEqual(agent.errors.count("is full"), 1)
        self.assertEqual(self.spooled(), before)
        self.assertGreater(len(before), 0)

    def test_one_look_that_finds_no_room_has_failed(self):
        with on_tide():
            self.assert_refused(tide("agent", "--once", "--listen", "none", "--db", self.db, "--spool",
                                     self.path("spool"), "--spool-size", "1"), 1, "full")

    def test_killed_agents_and_a_locked_database(self):
        tide("agent", "--once", "--db", self.db, "--spool", self.path("spool"))
        lock = []

        def disturb():
            connection = sqlite3.connect(self.db, isolation_level=None, timeout=200)
            connection.execute("BEGIN EXCLUSIVE")
            lock.append(connection)

        def repair():
            connection = lock.pop()
            connection.execute("ROLLBACK")
            connection.close()

        self.kill_again_and_again(self.db, disturb, repair, random.randrange(10**6))

    def test_killed_agents_and_a_database_that_is_moved_away(self):
        tide("agent", "--once", "--db", self.db, "--spool", self.path("spool"))
        away = self.path("away.db")
        self.kill_again_and_again(self.db, lambda: shutil.move(self.db, away),
                                  lambda: shutil.move(away, self.db), random.randrange(10**6))

    def test_batches_are_there_as_often_as_they_were_made(self):
        """No kill: as many looks in the database as the agent counts, while the database is
        locked half of the time."""
        with on_tide():
            agent = Agent("--db", self.db, "--spool", self.path("spool"), "--every", "50ms",
                          *NO_PROFILES)
            for _ in range(5):
                connection = sqlite3.connect(self.db, isolation_level=None, timeout=200)
                connection.execute("BEGIN EXCLUSIVE")
                time.sleep(0.15)
                connection.execute("ROLLBACK")
                connection.close()
                time.sleep(0.1)
            end = agent.end()
        self.assertEqual((end["waiting_batches"], end["refused_batches"]), (0, 0))
        self.assertEqual(len(self.collected()), end["shipped_batches"])


class Profiles(FleetTest):
    def test_a_leak_is_found_by_the_name_of_its_function(self):
        leaky = os.path.join(os.environ["TIDE_BUILD"], "bin/fleet_leaky")
        environment = {**clean_environment(), "TIDE_PROFILE": "on", "TIDE_PROFILE_RATE": "64k",
                       "TIDE_FLEET_SERVICE": "leaky"}
        with subprocess.Popen([TIDE, "run", "--", leaky], stdin=subprocess.PIPE,
                              env=environment) as process:
            agent = Agent("--db", self.db, "--spool", self.path("spool"), "--every", "250ms",
                          "--profiles", "500ms", listen="none")
            found = []
            for _ in range(200):
                time.sleep(0.5)
                found = self.ask("leaks", "--step", "1s", "--steps", "2", "--service", "leaky")["rows"]
                if found:
                    break
            agent.end()
            process.stdin.close()
        self.assertEqual([name for name in os.listdir(self.path("spool"))
                          if not name.endswith(".batch")], ["lock"])
        self.assertEqual(found[0]["functions"][:2], ["leak_here", "main"])
        # All of it is written to; blocks of 3000 bytes keep little beside them.
        [resident] = self.kind("residency")
        self.assertGreater(resident["resident_bytes"], 0.9 * resident["live_bytes"])
        self.assertLess(resident["absent_bytes"], 0.1 * resident["live_bytes"])
        [pinned] = self.kind("fragmentation")
        self.assertLess(pinned["pinned_bytes"], 0.3 * pinned["live_bytes"])
        # The page has it, and the layer that grows.
        items = {item["id"]: item for section in self.ask("report", "--from", "10s", "--service", "leaky")["sections"]
                 for item in section["items"]}
        if pinned["pinned_bytes"] > 0:
            [row] = [row for row in items["pinning"]["rows"] if row[4].startswith("leak_here")]
            self.assertEqual(row[1], pinned["pinned_bytes"])
        self.assertTrue(any("leak_here" in layer["name"] for layer in items["fleet-by-stack"]["series"]))
        self.assertEqual((found[0]["hosts"], found[0]["processes"]), (1, 1))
        # It grows all the time: at its last profile it had more than at the look before, and less
        # than at the one after that.
        [[profiled, when]] = self.sql("SELECT live_bytes, time_ns FROM profiles WHERE service = "
                                      "'leaky' ORDER BY live_bytes DESC LIMIT 1")
        [[before, after]] = self.sql(
            f"SELECT max(CASE WHEN time_ns < {when} THEN live_bytes ELSE 0 END), "
            f"min(CASE WHEN time_ns > {when} THEN live_bytes ELSE 4000000000 END) "
            "FROM statistics WHERE service = 'leaky'")
        self.assertLess(before / 2, profiled)
        self.assertLess(profiled, after * 1.5)

    def kind(self, name):
        rows = self.ask("top", "--kind", name, "--service", "leaky")["rows"]
        return [row for row in rows if row["functions"][:1] == ["leak_here"]]


@unittest.skipIf(clickhouse.MISSING, clickhouse.MISSING)
class ShippingToClickHouse(ShippingTest):
    """The same with a server that is killed and started again."""

    def test_killed_agents_and_a_killed_server(self):
        with clickhouse.Server() as server:
            db = server.database("heaps")
            tide("agent", "--once", "--db", db, "--spool", self.path("spool"),
                 env=clickhouse.ENVIRONMENT)
            self.kill_again_and_again(db, server.kill, server.start, random.randrange(10**6),
                                      processes=10)
            doubled = server.ask("SELECT count() FROM (SELECT process, time_ns FROM heaps.statistics"
                                 " GROUP BY process, time_ns HAVING count() > 1)")
            self.assertEqual(doubled.strip(), "0")

    def test_a_wrong_password_or_database(self):
        with clickhouse.Server() as server:
            server.database("heaps")
            address = f"clickhouse://{clickhouse.USER}@127.0.0.1:{server.http}"
            self.assert_refused(tide("fleet", "top", "--db", address + "/heaps",
                                     env={"TIDE_FLEET_PASSWORD": "wrong"}),
                                1, "tide", "TIDE_FLEET_PASSWORD")
            self.assert_refused(tide("fleet", "top", "--db", address + "/other",
                                     env=clickhouse.ENVIRONMENT), 1, "other", "CREATE DATABASE")
            server.kill()
            self.assert_refused(tide("fleet", "top", "--db", address + "/heaps",
                                     env=clickhouse.ENVIRONMENT), 1, "does not answer")


if __name__ == "__main__":
    unittest.main()
