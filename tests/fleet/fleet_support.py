"""What the tests of the agent and the fleet share."""

import json
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
# pylint: disable=wrong-import-position,unused-import
from support import (BUILD, HOLDER, LIBRARY, TIDE, USAGE, TideTest, clean_environment,  # noqa: E402
                     on_tide, running, tide)

import clickhouse  # noqa: E402

HOUR = 3600


class FleetTest(TideTest):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="tide-fleet-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.db = self.path("fleet.db")

    def path(self, name):
        return str(self.folder / name)

    def fleet(self, *arguments, db=None):
        result = tide("fleet", *arguments, "--db", db or self.db, env=clickhouse.ENVIRONMENT)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def ask(self, *arguments, db=None):
        return json.loads(self.fleet(*arguments, "--json", db=db))

    def sql(self, sql, db=None):
        return self.ask("sql", sql, db=db)["rows"]
