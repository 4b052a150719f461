#!/usr/bin/python3
"""docs/command-line.md and the help of each verb name the same options."""

import pathlib
import re
import unittest

from support import TideTest, tide

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/command-line.md"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
OTHERS = {"--output"}  # of lttng, in the text


def options(text):
    return set(OPTION.findall(text))


def listed(text):
    """The options that a help lists, each as the set of its forms; `tide heap` has some by question."""
    found = [set(re.findall(r"--?[a-z][a-z-]*", forms))
             for forms in re.findall(r"^  (-.*?)(?:  |$)", text, re.MULTILINE)]
    questions = text.partition("\nQuestions")[2].partition("\n\n")[0]
    return [forms for forms in found if "--help" not in forms] + [{name} for name in options(questions)]


def help_of(*verb):
    return tide(*verb, "--help").stdout


def verbs(text):
    """The names in the list of verbs of a help."""
    rows = text.split("\nVerbs:\n", 1)[1].split("\n\n", 1)[0]
    return [row.split()[0] for row in rows.splitlines()]


def helps(verb):
    """The help of a verb, with those of its own verbs."""
    text = help_of(verb)
    if "\nVerbs:\n" in text:
        text += "".join(help_of(verb, inner) for inner in verbs(text))
    return text


def what_it_describes(section):
    """The lines of usage and the first column of the tables, where a section says what there is."""
    usage = re.findall(r"^ {4}tide .*(?:\n {8}.*)*", section, re.MULTILINE)
    return "\n".join(usage + re.findall(r"^\| ([^|]*)", section, re.MULTILINE))


class Documented(TideTest):
    @classmethod
    def setUpClass(cls):
        _, *pieces = re.split(r"^## tide (\w+)$", DOCUMENT.read_text(), flags=re.MULTILINE)
        cls.sections = dict(zip(pieces[::2], pieces[1::2]))
        cls.helps = {verb: helps(verb) for verb in verbs(help_of())}

    def test_every_verb(self):
        self.assertEqual(set(self.sections), set(self.helps))

    def test_options_that_there_are(self):
        for verb, section in self.sections.items():
            with self.subTest(verb):
                named = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", section))
                missing = [forms for forms in listed(self.helps[verb]) if not forms & named]
                self.assertEqual(missing, [], "not documented")

    def test_options_that_are_documented(self):
        known = set().union(*map(options, self.helps.values())) | OTHERS
        for verb, section in self.sections.items():
            with self.subTest(verb):
                described = options(what_it_describes(section))
                self.assertEqual(described - options(self.helps[verb]), set(), "not in the help")
                self.assertEqual(options(section) - known, set(), "in no help")


if __name__ == "__main__":
    unittest.main()
