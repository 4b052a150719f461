#!/usr/bin/python3
"""Self-test of tools/check_links.py: each link that leads nowhere is found, and no other."""

import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True
import check_links  # noqa: E402

OTHER = "# The *other* `one`: 64 KiB\n\n## Twice\n\n## Twice\n\n```\n# no heading\n```\n"


class CheckLinks(unittest.TestCase):
    def wrong(self, text):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "notes").mkdir()
            (root / "notes/other.md").write_text(OTHER)
            document = root / "README.md"
            document.write_text(text)
            self.assertEqual(set(check_links.documents(root)), {document, root / "notes/other.md"})
            return [(line, link) for line, link, _ in check_links.wrong_links(document)]

    def test_links_that_are_good(self):
        self.assertEqual(self.wrong("# Here\n[a](notes/other.md) [b](notes) ![c](notes/other.md)\n"
                                    "[d](#here) [e](notes/other.md#the-other-one-64-kib)\n"
                                    "[f](notes/other.md#twice-1) [g](https://example.org/x#y)\n"), [])

    def test_links_that_lead_nowhere(self):
        self.assertEqual(self.wrong("[a](other.md)\n\n[b](#nowhere) [c](notes/other.md#no-heading)\n"
                                    "![d](no.png)\n"),
                         [(1, "other.md"), (3, "#nowhere"), (3, "notes/other.md#no-heading"),
                          (4, "no.png")])

    def test_code_has_no_links(self):
        self.assertEqual(self.wrong("`[a](x)`\n```sh\n[b](y)\n```\n[c](z)\n"), [(5, "z")])


if __name__ == "__main__":
    unittest.main()
