#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the test programs of one build, or pytest, and count their cases.

A program is a cmocka program or prints `cases: N passed, N failed`.  One that crashes, hangs, ends
with a non-zero status without naming a failed case, or runs no case counts as one failure more, and
the end of its output is shown.  The suite's figures go to the counts file of ./dev test; the exit
status is 0 unless this script itself fails.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

TIMEOUT_S = int(os.environ.get("LYNSE_TEST_TIMEOUT_S", "300"))
SLOW_TIMEOUT_S = 3600
TAIL_LINES = 60
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1",
}
CMOCKA = {
    "passed": re.compile(r"\[  PASSED  \] (\d+) test\(s\)"),
    "failed": re.compile(r"\[  FAILED  \] (\d+) test\(s\)"),
    "skipped": re.compile(r"\[  SKIPPED \] (\d+) test\(s\)"),
}
CMOCKA_OK = re.compile(r"^\[       OK \]", re.MULTILINE)
CMOCKA_RUNNING = re.compile(r"^\[ RUN      \] (.*)", re.MULTILINE)
CASES = re.compile(r"^cases: (\d+) passed, (\d+) failed$", re.MULTILINE)


class Result:
    """The figures of one program, and why it failed (empty: it did not)."""

    def __init__(self, name):
        self.name = name
        self.passed = self.failed = self.skipped = 0
        self.reason = ""
        self.output = ""
        self.command = ""
        self.seconds = 0.0

    def read_counts(self, output):
        """Add what the output says; returns whether it said anything."""
        said = False
        for field, pattern in CMOCKA.items():
            for match in pattern.finditer(output):
                setattr(self, field, getattr(self, field) + int(match[1]))
                said = True
        for match in CASES.finditer(output):
            self.passed += int(match[1])
            self.failed += int(match[2])
            said = True
        return said


def describe_status(status):
    if status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    return f"exit status {status}"


def judge(result, output, status, timed_out):
    result.output = output
    said = result.read_counts(output)
    running = CMOCKA_RUNNING.findall(output)
    if timed_out:
        result.reason = "timed out"
    elif not said:
        result.reason = f"{describe_status(status)} without a summary"
    elif status != 0 and result.failed == 0:
        result.reason = f"all cases passed, but {describe_status(status)}"
    elif result.passed + result.failed + result.skipped == 0:
        result.reason = "ran no case"
    if not said:
        result.passed = len(CMOCKA_OK.findall(output))
        result.reason += f", in {running[-1]}" if running else ""
    if result.reason:
        result.failed += 1
    elif result.failed:
        result.reason = f"{result.failed} case(s) failed"


def run_program(build, name, arguments, timeout):
    """Run one program in a scratch folder of its own; its children die with it."""
    result = Result(name)
    scratch = build / "scratch" / name
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    command = [str(build / "tests" / name), *arguments]
    result.command = " ".join(command)
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            command,
            cwd=scratch,
            env={**SANITIZER_OPTIONS, **os.environ, "TMPDIR": str(scratch)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        judge(result, str(error), 127, False)
        return result
    timed_out = False
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    result.seconds = time.monotonic() - started
    judge(result, output.decode(errors="replace"), process.returncode, timed_out)
    if not result.failed:
        shutil.rmtree(scratch, ignore_errors=True)
    return result


def report(result, verbose):
    if result.failed:
        print(f"--- {result.name}: {result.reason}")
        for line in result.output.splitlines()[-TAIL_LINES:]:
            print(f"    {line}")
        print(f"    again: {result.command}", flush=True)
    elif verbose:
        print(f"    {result.name}: {result.passed} passed ({result.seconds:.1f} s)", flush=True)


def finish(suite, counts, passed, failed, skipped, started):
    with open(counts, "a", encoding="ascii") as file:
        file.write(f"{suite} {passed} {failed} {skipped}\n")
    line = f"==> {suite}: {passed} passed, {failed} failed"
    if skipped:
        line += f", {skipped} skipped"
    print(f"{line} ({time.monotonic() - started:.0f} s)", flush=True)


def read_manifest(path, match, pace):
    for line in path.read_text().splitlines():
        fields = line.split("\t")
        if len(fields) < 3 or match not in fields[0]:
            continue
        if fields[2] == "quick" or pace == "slow" or match:
            yield fields[0], [field for field in fields[3:] if field], fields[2]


def programs(options):
    started = time.monotonic()
    build = pathlib.Path(options.build).resolve()
    wanted = list(read_manifest(build / "tests" / "manifest.txt", options.match, options.pace))
    if options.pace == "slow":
        os.environ["LYNSE_TEST_LONG"] = "1"
    os.environ["LYNSE_SOURCE_DIR"] = str(pathlib.Path(__file__).resolve().parent.parent)
    results = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        limits = {"quick": TIMEOUT_S, "slow": SLOW_TIMEOUT_S}
        waiting = [
            pool.submit(run_program, build, name, arguments, limits[pace])
            for name, arguments, pace in wanted
        ]
        for future in concurrent.futures.as_completed(waiting):
            results.append(future.result())
            if sys.stdout.isatty():
                print(f"\r    {len(results)}/{len(wanted)} programs ", end="\r", flush=True)
            report(results[-1], options.verbose)
    if not results:
        print(f"--- no test program matches '{options.match}'" if options.match else
              f"--- {build} has no test programs")
    finish(
        options.suite,
        options.counts,
        sum(result.passed for result in results),
        sum(result.failed for result in results) or int(not results),
        sum(result.skipped for result in results),
        started,
    )


def pytest(options):
    started = time.monotonic()
    log = pathlib.Path(options.counts).parent / "pytest.xml"
    log.unlink(missing_ok=True)
    process = subprocess.run(
        [options.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={log}",
         options.tests],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    passed = failed = skipped = 0
    if log.exists():
        for suite in xml.etree.ElementTree.parse(log).getroot().iter("testsuite"):
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped += int(suite.get("skipped", 0))
            failed += bad
            passed += int(suite.get("tests", 0)) - bad - int(suite.get("skipped", 0))
    if process.returncode != 0 and failed == 0:
        failed = 1
    if failed or options.verbose:
        print(process.stdout.decode(errors="replace"), flush=True)
    finish("python", options.counts, passed, failed, skipped, started)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("programs", help="the C programs of a build")
    one.add_argument("--suite", required=True)
    one.add_argument("--jobs", type=int, default=os.cpu_count())
    one.add_argument("--pace", choices=["quick", "slow"], default="quick")
    one.add_argument("--match", default="")
    one.add_argument("build")
    one.set_defaults(run=programs)
    two = commands.add_parser("pytest", help="the Python tests")
    two.add_argument("python")
    two.add_argument("tests")
    two.set_defaults(run=pytest)
    for command in (one, two):
        command.add_argument("--counts", required=True)
        command.add_argument("-v", dest="verbose", action="store_true")
    options = parser.parse_args()
    options.run(options)


main()
