#!/usr/bin/python3
"""tide env: the table, one option, JSON, and what is wrong with the environment."""

import json
import pathlib
import unittest

from support import LIBRARY, LOADED, USAGE, TideTest, tide

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def options(**env):
    document = json.loads(tide("env", "--json", env=env).stdout)
    return {row["name"]: row for row in document["options"]}, document["warnings"]


class Listing(TideTest):
    def test_table(self):
        result = tide("env")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        title, *rows = result.stdout.splitlines()
        self.assertEqual(title.split(),
                         ["OPTION", "VALUE", "DEFAULT", "UNIT", "RANGE", "FROM", "HELP"])
        self.assertEqual([row.split()[0] for row in rows], list(options()[0]))

    def test_every_row_is_whole(self):
        rows, warnings = options()
        self.assertEqual(warnings, [])
        self.assertIn("stats", rows)
        for name, row in rows.items():
            self.assertEqual(row["source"], "default")
            self.assertEqual(row["value"], row["default"])
            self.assertEqual(row["variable"], "TIDE_" + name.upper())
            self.assertTrue(row["help"])
            self.assertTrue(row["type"])

    def test_table_is_options_def(self):
        text = (SOURCE / "src/api/options.def").read_text()
        for name in options()[0]:
            self.assertRegex(text, rf"\b{name}\b")

    def test_one_option(self):
        result = tide("env", "stats")
        self.assertEqual(result.returncode, 0)
        self.assertIn("TIDE_STATS", result.stdout)
        self.assertEqual(json.loads(tide("env", "stats", "--json").stdout)["name"], "stats")
        self.assertEqual(tide("env", "TIDE_STATS").stdout, result.stdout)
        self.assert_refused(tide("env", "stat"), USAGE, "'stat'", "'stats'")
        self.assert_refused(tide("env", "stats", "more"), USAGE, "more")
        self.assert_refused(tide("env", "--frob"), USAGE, "--frob")


class Sources(TideTest):
    def test_variable(self):
        row = options(TIDE_STATS="json")[0]["stats"]
        self.assertEqual((row["value"], row["source"]), ("json", "TIDE_STATS"))

    def test_list(self):
        row = options(TIDE_OPTIONS="stats=json")[0]["stats"]
        self.assertEqual((row["value"], row["source"]), ("json", "TIDE_OPTIONS"))

    def test_the_variable_wins(self):
        row = options(TIDE_OPTIONS="stats=json", TIDE_STATS="text")[0]["stats"]
        self.assertEqual((row["value"], row["source"]), ("text", "TIDE_STATS"))


class Json(TideTest):
    def test_types(self):
        rows = options(TIDE_HUGE_CACHE="3m", TIDE_VERBOSE="off", TIDE_STATS_FILE="a\udcffb")[0]
        self.assertEqual(rows["huge_cache"]["value"], 3 << 20)
        self.assertIs(rows["verbose"]["value"], False)
        self.assertEqual(rows["stats"]["choices"], ["off", "text", "json", "prometheus"])
        self.assertEqual(rows["limit_hard"]["value"], 0)
        self.assertEqual(options(TIDE_LIMIT_HARD="AUTO")[0]["limit_hard"]["value"], "auto")
        self.assertEqual(options(TIDE_LIMIT_HARD="2g")[0]["limit_hard"]["value"], 2 << 30)
        # What is no UTF-8 is replaced, not passed on.
        self.assertEqual(rows["stats_file"]["value"], "a\ufffdb")


class Warnings(TideTest):
    def test_in_the_librarys_words(self):
        for env in ({"TIDE_NO_SUCH_OPTION": "1"}, {"TIDE_STATS": "maybe"},
                    {"TIDE_OPTIONS": "huge_cache=1M,nonsense=2,stats"}):
            with self.subTest(env):
                by_library = tide("run", "--", LOADED, env=env).stderr
                by_command = tide("env", env=env)
                self.assertEqual(by_command.returncode, 0)
                self.assertNotEqual(by_library, "")
                self.assertEqual(by_command.stderr, by_library)
                lines = [f"tide: {warning}\n" for warning in options(**env)[1]]
                self.assertEqual("".join(lines), by_library)

    def test_can_be_switched_off(self):
        env = {"TIDE_WARNINGS": "off", "TIDE_NO_SUCH_OPTION": "1"}
        self.assertEqual(tide("env", env=env).stderr, "")
        self.assertEqual(options(**env)[1], [])

    def test_own_variables_are_known(self):
        result = tide("run", "--", LOADED, env={"TIDE_LIBRARY": LIBRARY})
        self.assertEqual(result.stderr, "")
        self.assertEqual(tide("env", env={"TIDE_LIBRARY": LIBRARY}).stderr, "")


if __name__ == "__main__":
    unittest.main()
