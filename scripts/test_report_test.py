"""Tests of test_report: the counts at the end of scripts/test are only as good as this."""

import tempfile
import unittest
from pathlib import Path

import test_report

GTEST = """<testsuites><testsuite name="A">
<testcase name="Passes" status="run" result="completed" classname="A"/>
<testcase name="Skips" status="run" result="skipped" classname="A">
<skipped message="a_test.cc:3&#x0A;needs root: mounts"/></testcase>
<testcase name="SkipsSilently" status="run" result="skipped" classname="A"><skipped message="a.cc:3&#x0A;"/></testcase>
<testcase name="Fails" status="run" result="completed" classname="A"><failure message="a.cc:4&#x0A;1 is not 2"/></testcase>
<testcase name="DISABLED_D" status="notrun" result="suppressed" classname="A"/>
</testsuite></testsuites>"""
EMPTY = "<testsuites></testsuites>"


class ReadCtest(unittest.TestCase):
    def read(self, case, **reports):
        with tempfile.TemporaryDirectory() as directory:
            junit = Path(directory, "ctest")
            junit.write_text(f"<testsuite>{case}</testsuite>")
            for name, text in reports.items():
                Path(directory, f"{name}.xml").write_text(text)
            return test_report.read_ctest(junit, directory, "")

    def test_counts_the_cases_of_googletest(self):
        report = self.read('<testcase name="a" status="fail"/>', a=GTEST)
        self.assertEqual("1 passed, 1 failed, 3 skipped", report.summary())
        self.assertEqual(("a: A.Fails", "1 is not 2"), report.failures[0])
        self.assertIn(("a: A.Skips", "needs root: mounts"), report.skips)
        self.assertIn(("a: A.SkipsSilently", test_report.NO_REASON), report.skips)

    def test_a_crash_is_a_failure_even_when_all_reported_cases_passed(self):
        passed = GTEST.replace("failure", "note")
        self.assertEqual(1, len(self.read('<testcase name="a" status="fail"/>', a=passed).failures))
        self.assertEqual(1, len(self.read('<testcase name="a" status="fail"/>').failures))

    def test_a_binary_without_cases_is_a_failure(self):
        self.assertEqual(1, len(self.read('<testcase name="a" status="run"/>', a=EMPTY).failures))

    def test_a_program_counts_one_or_what_it_says(self):
        self.assertEqual("1 passed, 0 failed, 0 skipped",
                         self.read('<testcase name="a" status="run"/>').summary())
        says = "SKIP: b: needs root\n4 passed, 0 failed, 1 skipped\n"
        report = self.read(f'<testcase name="a" status="run"><system-out>{says}</system-out></testcase>')
        self.assertEqual("4 passed, 0 failed, 1 skipped", report.summary())
        self.assertEqual([("a: b", "needs root")], report.skips)

    def test_the_exit_code_wins_over_what_a_program_says(self):
        says = "4 passed, 0 failed, 0 skipped\n"
        report = self.read(f'<testcase name="a" status="fail"><system-out>{says}</system-out></testcase>')
        self.assertEqual(1, len(report.failures))

    def test_a_program_that_ran_nothing_is_a_failure(self):
        says = "0 passed, 0 failed, 0 skipped\n"
        report = self.read(f'<testcase name="a" status="run"><system-out>{says}</system-out></testcase>')
        self.assertEqual("0 passed, 1 failed, 0 skipped", report.summary())

    def test_a_program_that_could_not_start_is_a_failure_and_a_reasoned_skip_is_not(self):
        gone = '<testcase name="a" status="notrun"><skipped message="Unable to find"/></testcase>'
        self.assertEqual(1, len(self.read(gone).failures))
        skip = '<testcase name="a" status="notrun"><system-out>SKIP: needs IPv6</system-out></testcase>'
        self.assertEqual([("a", "needs IPv6")], self.read(skip).skips)


class ForbiddenSkips(unittest.TestCase):
    def test_what_the_machine_offers_may_not_be_missing(self):
        skips = [("a", "needs root: mounts"), ("b", "needs loop mounts"), ("c", "needs IPv6"),
                 ("d", test_report.NO_REASON)]
        offered = {"needs root": True, "needs loop mounts": False}
        self.assertEqual(["a", "d"], [name for name, _ in test_report.forbidden_skips(skips, offered)])


if __name__ == "__main__":
    unittest.main()
