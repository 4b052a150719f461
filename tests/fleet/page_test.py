#!/usr/bin/python3
"""The page of tide fleet report in a headless Chromium."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "report"))
# pylint: disable=wrong-import-position
from browser import Browser  # noqa: E402
from questions_test import OnSqlite as Fleet  # noqa: E402


class Page(Fleet):
    def test_in_a_browser(self):
        page = self.path("page.html")
        self.fleet("report", "--from", "8h", "-o", page, "--title", "my <fleet>")
        with Browser() as browser:
            browser.open(page)
            self.assertEqual(browser.value("document.querySelector('h1').textContent"), "my <fleet>")
            for item in ("memory-time", "by-service", "by-host", "by-size-class", "flame", "fleet-by-stack", "pinning", "growing"):
                self.assertEqual(browser.value(f"document.querySelectorAll('#{item}').length"), 1, item)
            for item in ("memory-time", "flame", "fleet-by-stack"):
                browser.value(f"document.getElementById('{item}').scrollIntoView({{behavior: 'instant'}})")
                browser.wait(f"echarts.getInstanceByDom(document.querySelector('#{item} .plot'))")
            self.assertEqual(browser.value("echarts.getInstanceByDom(document.querySelector('#memory-time .plot'))"
                                           ".getOption().series.length"), 5)
            # Ticks are hours, and closer ones when a part is looked at.
            labels = ("[...document.querySelectorAll('#memory-time .plot text')].map(t => t.textContent)"
                      ".filter(t => / (h|min)$/.test(t))")
            self.assertIn("3 h", browser.value(labels))
            browser.value("echarts.getInstanceByDom(document.querySelector('#memory-time .plot'))"
                          ".dispatchAction({type: 'dataZoom', start: 0, end: 10})")
            browser.wait(f"{labels}.filter(t => t.endsWith(' min')).length > 3")
            first = "document.querySelector('#by-host tbody tr').cells[0].textContent"
            self.assertEqual(browser.value(first), "beta")
            browser.value("document.querySelector('#by-host th button').click()")
            self.assertEqual(browser.value(first), "alpha")
            self.assertIn("0x1000", browser.value("document.querySelector('#growing tbody tr').textContent"))
            self.assertEqual(browser.messages, [])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "Page.test_in_a_browser"])
