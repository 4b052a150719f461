#!/usr/bin/python3
"""The agent, outside, on processes in containers: which container they are in, their number here and
inside, and profiles with names out of the files inside."""

import json
import shutil
import subprocess
import time
import unittest

from container import BUILD, TIDE, ContainerTest, clean_environment, tide

NUMBER = "3f4e1b0c9d8a7f6e5d4c3b2a190817263544536271809fa0b1c2d3e4f5061728"
GROUP = f"/system.slice/docker-{NUMBER}.scope"


class Agent(ContainerTest):
    def start_program(self, kind="sha1", **kwargs):
        """Outside another build is at the program's path."""
        path = self.folder / "program"
        shutil.copy(BUILD / f"bin/containers_outside_{kind}", path)
        root = self.new_root()
        root.put_program(str(BUILD / f"bin/containers_inside_{kind}"), path)
        return self.start(root, path, **kwargs)

    def proc_with_group(self, *pids):
        """A /proc in which these processes are all, and in a container of Docker's."""
        folder = self.folder / "proc"
        for pid in pids:
            place = folder / str(pid)
            place.mkdir(parents=True)
            (place / "cgroup").write_text(f"0::{GROUP}\n")
            for name in ("comm", "environ", "exe", "maps", "ns", "stat", "status"):
                (place / name).symlink_to(f"/proc/{pid}/{name}")
        return folder

    def sql(self, database, text):
        done = tide("fleet", "sql", text, "--json", "--db", database)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["rows"]

    def test_labels(self):
        program = self.start_program()
        proc = self.proc_with_group(program.pid)
        database = self.folder / "fleet.db"
        done = tide("agent", "--once", "--proc", proc, "--db", database, "--spool",
                    self.folder / "spool", "--textfile", self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = (self.folder / "tide.prom").read_text().splitlines()
        [info] = [line for line in lines if line.startswith("tide_info{")]
        labels = f'pid="{program.pid}",comm="program",service="program",container="{NUMBER[:12]}"'
        self.assertIn(labels, info)
        self.assertIn(f'cgroup="{GROUP}"', info)
        self.assertTrue(any(line.startswith(f"tide_live_bytes{{{labels}}}") for line in lines))
        self.assertEqual(
            self.sql(database, "SELECT pid, pid_inside, container, cgroup FROM processes"),
            [[program.pid, 1, NUMBER[:12], GROUP]])
        done = tide("fleet", "top", "--by", "container", "--json", "--db", database)
        self.assertEqual([row["name"] for row in json.loads(done.stdout)["rows"]], [NUMBER[:12]])
        for name, count in ((NUMBER[:12], 1), ("other", 0)):
            done = tide("fleet", "top", "--container", name, "--json", "--db", database)
            self.assertEqual(len(json.loads(done.stdout)["rows"]), count)
        done = tide("top", "--once", "--json", "--proc", proc, program.pid)
        self.assertEqual(json.loads(done.stdout)["processes"][0]["container"], NUMBER[:12])
        self.assertIn("CONTAINER", tide("top", "--once", "--proc", proc, program.pid).stdout)

    def functions_shipped(self, programs):
        """Of each of the programs, by its number, when the agent has seen profiles of all."""
        database = self.folder / "fleet.db"
        with subprocess.Popen(
                [TIDE, "agent", "--listen", "none", "--every", "100ms", "--profiles", "100ms",
                 "--db", str(database), "--spool", str(self.folder / "spool")],
                env=clean_environment()) as agent:
            try:
                for _ in range(400):
                    time.sleep(0.25)
                    if not database.exists():
                        continue
                    rows = self.sql(database, "SELECT DISTINCT p.pid, f.function FROM profiles s "
                                    "JOIN processes p ON p.process = s.process "
                                    "JOIN frames f ON f.stack = s.stack")
                    found = {pid: {function for of, function in rows if of == pid}
                             for pid, _ in rows}
                    if all(found.get(program.pid) for program in programs):
                        return found
            finally:
                agent.terminate()
        raise AssertionError("no profiles")

    def test_profiles(self):
        programs = [self.start_program(kind) for kind in ("sha1", "none")]
        found = self.functions_shipped(programs)
        for program in programs:
            self.assertIn("inside_holds", found[program.pid])
            self.assertNotIn("outside_holds", found[program.pid])

    def test_programs_that_end_at_once(self):
        """Each look finds others, and none of them harms it."""
        root = self.new_root()
        root.put_program(str(BUILD / "bin/containers_inside_sha1"), "/program")
        stays = self.start_program()
        with subprocess.Popen([TIDE, "agent", "--listen", "none", "--every", "1ms", "--profiles",
                               "1ms", "--db", str(self.folder / "fleet.db"), "--spool",
                               str(self.folder / "spool")], env=clean_environment(),
                              stderr=subprocess.PIPE, text=True) as agent:
            for _ in range(30):
                program = self.start(root, "/program", "exit", is_ready=False)
                self.assertEqual(program.end(), 0)
            agent.terminate()
            error = agent.communicate(timeout=200)[1]
        self.assertEqual((agent.returncode, error), (0, ""))
        self.assertEqual(stays.end(), 0)


if __name__ == "__main__":
    unittest.main()
