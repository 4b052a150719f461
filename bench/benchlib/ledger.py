"""The append-only record of every comparison: bench/ledger/YYYY-MM-DD.jsonl.

Two kinds of lines. "run": one per call of bench/compare or bench/return, with the commit, the machine, the
allocators and the exact command. "sample": one per process that was run, with everything it
measured and its status; a crash or a timeout is a sample with that status and no figures.
A sample names its run by `run`. Nothing is ever changed or removed.
"""

import json
import os
import secrets
import time

from . import machine
from .peers import ROOT

FORMAT = 1
FOLDER = ROOT / "bench/ledger"


class Ledger:
    def __init__(self, path=None):
        """path: None for today's file, False for none at all."""
        self.run_id = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + "-" + secrets.token_hex(2)
        self.path = FOLDER / time.strftime("%Y-%m-%d.jsonl", time.gmtime()) if path is None else path

    def append(self, record):
        if self.path is False:
            return
        os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
        # One write of one line to a file opened for appending: two runs at once do not mix lines.
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record, separators=(",", ":"), sort_keys=False) + "\n")

    def begin(self, command, peers, settings):
        record = {"kind": "run", "format": FORMAT, "run": self.run_id,
                  "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": command,
                  **machine.facts(), "peers": [peer.describe() for peer in peers], **settings}
        self.append(record)
        return record

    def sample(self, workload, command, peer, round_number, record):
        self.append({"kind": "sample", "run": self.run_id, "workload": workload, "command": command,
                     "peer": peer.name, "round": round_number, **record})
