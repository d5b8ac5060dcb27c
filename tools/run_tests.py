#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the test programs of one build, or pytest, count their cases, and compare the counts.

A program is a cmocka program or prints `cases: N passed, N failed`.  One that crashes, hangs, ends
with a non-zero status without naming a failed case, skips one without a reason (skip_because), or
runs no case counts as one failure more, and the end of its output is shown.  The suite's figures go
to the counts file of ./dev test, those of each program to tests/results.txt of the build; the exit
status is 0 unless this script itself fails.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import math
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree

TIMEOUT_S = int(os.environ.get("LYNSE_TEST_TIMEOUT_S", "300"))
SLOW_TIMEOUT_S = 3600
TAIL_LINES = 60
# What they test is the same text and the same calls in every build of one compiler.
LAYERS_WITHOUT_LIBRARIES = ("unit/index/", "unit/quant/", "unit/simd/", "unit/api/test_index_table")
SLOWEST = 10
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
SKIPPED = re.compile(r"^skip: (.*)\n\[  SKIPPED \] (\S+)", re.MULTILINE)
CMOCKA_OK = re.compile(r"^\[       OK \]", re.MULTILINE)
CMOCKA_RUNNING = re.compile(r"^\[ RUN      \] (.*)", re.MULTILINE)
CASES = re.compile(r"^cases: (\d+) passed, (\d+) failed$", re.MULTILINE)


Program = collections.namedtuple("Program", "name pace kind arguments")
# Of the last whole run: cases is empty if unknown, threads whether it started any.
Known = collections.namedtuple("Known", "kind cases seconds threads")


class Result:
    """The figures of one program, and why it failed (empty: it did not)."""

    def __init__(self, program):
        self.name = program.name
        self.kind = program.kind
        self.passed = self.failed = self.skipped = 0
        self.reason = ""
        self.output = ""
        self.command = ""
        self.seconds = self.cpu_seconds = 0.0
        self.threads = self.left_out = False

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

    def case_count(self):
        """Empty if something failed, for then it may not have come to all its cases."""
        return "" if self.failed or self.left_out else str(self.passed + self.skipped)


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
    elif result.skipped != len(SKIPPED.findall(output)):
        result.reason = "skips without saying why"
    elif result.passed + result.failed + result.skipped == 0:
        result.reason = "ran no case"
    if not said:
        result.passed = len(CMOCKA_OK.findall(output))
        result.reason += f", in {running[-1]}" if running else ""
    if result.reason:
        result.failed += 1
    elif result.failed:
        result.reason = f"{result.failed} case(s) failed"


def run_to_end(command, scratch, mark, output, timeout):
    """Returns the status, whether time ran out, and the processor time of it and its children.

    The file `mark` is there afterwards if it started a thread (tests/support/thread_mark.c).
    """
    process = subprocess.Popen(
        command,
        cwd=scratch,
        env={**SANITIZER_OPTIONS, **os.environ, "TMPDIR": str(scratch),
             "LYNSE_TEST_THREAD_MARK": str(mark)},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    timed_out = threading.Event()

    def stop():
        timed_out.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(timeout, stop)
    timer.start()
    _, status, usage = os.wait4(process.pid, 0)
    timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, timed_out.is_set(), usage.ru_utime + usage.ru_stime


def run_program(build, program, timeout, emulator):
    """Run one program in a scratch folder of its own; on a timeout its children die with it."""
    result = Result(program)
    scratch = build / "scratch" / program.name
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    mark = scratch.with_name(scratch.name + ".threads")
    mark.unlink(missing_ok=True)
    command = [*emulator, str(build / "tests" / program.name), *program.arguments]
    result.command = " ".join(command)
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        try:
            status, timed_out, result.cpu_seconds = run_to_end(
                command, scratch, mark, output, timeout)
        except OSError as error:
            judge(result, str(error), 127, False)
            return result
        result.seconds = time.monotonic() - started
        result.threads = mark.exists()
        output.seek(0)
        judge(result, output.read().decode(errors="replace"), status, timed_out)
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
        print(f"    {result.name}: {result.passed} passed ({result.seconds:.1f} s, processor time "
              f"{result.cpu_seconds:.1f} s{', threads' if result.threads else ''})", flush=True)
    for reason, case in SKIPPED.findall(result.output):
        print(f"    skipped: {result.name}: {case}: {reason}", flush=True)


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
        if len(fields) < 4 or match not in fields[0]:
            continue
        if fields[2] == "quick" or pace == "slow" or match:
            yield Program(fields[0], fields[2], fields[3], [field for field in fields[4:] if field])


def read_results(build):
    """What the last whole run left, by name."""
    path = build / "tests" / "results.txt"
    if not path.exists():
        return {}
    lines = (line.split("\t") for line in path.read_text().splitlines())
    return {name: Known(kind, cases, float(seconds), threads == "threads")
            for name, kind, cases, seconds, threads in (line for line in lines if len(line) == 5)}


def read_newest_results(builds):
    """Of whichever build was run last: what takes long takes long in each."""
    found = [path for path in builds.glob("*/tests/results.txt") if path.is_file()]
    found.sort(key=lambda path: path.stat().st_mtime)
    return read_results(found[-1].parent.parent) if found else {}


def write_results(build, results):
    lines = [
        f"{r.name}\t{r.kind}\t{r.case_count()}\t{r.seconds:.2f}\t"
        f"{'threads' if r.threads else 'alone'}\n"
        for r in sorted(results, key=lambda r: r.name)
    ]
    (build / "tests" / "results.txt").write_text("".join(lines))


def leave_out(wanted, other_build, is_seen):
    """What is to run, and results of what that build has seen: is_seen(name, known)."""
    known = read_results(pathlib.Path(other_build))
    alone = [p for p in wanted if p.name in known and known[p.name].cases
             and is_seen(p.name, known[p.name])]
    results = [Result(program) for program in alone]
    for result in results:
        result.left_out = True
        result.seconds = known[result.name].seconds  # for who asks later what takes long
    return [p for p in wanted if p not in alone], results


def report_slowest(results):
    slowest = sorted(results, key=lambda r: -r.cpu_seconds)[:SLOWEST]
    cpu = sum(r.cpu_seconds for r in results)
    print(f"    {cpu:.0f} s of processor time; slowest {len(slowest)}: "
          + ", ".join(f"{r.name} {r.cpu_seconds:.1f}" for r in slowest))


def finish_programs(suite, options, results, started):
    finish(
        suite,
        options.counts,
        sum(result.passed for result in results),
        sum(result.failed for result in results) or int(not results),
        sum(result.skipped for result in results),
        started,
    )


def programs(options):
    started = time.monotonic()
    build = pathlib.Path(options.build).resolve()
    wanted = list(read_manifest(build / "tests" / "manifest.txt", options.match, options.pace))
    left_out = []
    if options.threads_as_in:
        wanted, left_out = leave_out(wanted, options.threads_as_in,
                                     lambda _, known: not known.threads)
        print(f"    left out: {len(left_out)} programs, which start no thread")
    elif options.layers_as_in:
        wanted, left_out = leave_out(wanted, options.layers_as_in,
                                     lambda name, _: name.startswith(LAYERS_WITHOUT_LIBRARIES))
        print(f"    left out: {len(left_out)} programs, of layers that no library reaches")
    # What took long comes first, so that nothing is waited for at the end.
    before = read_results(build) or read_newest_results(build.parent)
    wanted.sort(key=lambda p: -before[p.name].seconds if p.name in before else -math.inf)
    if options.pace == "slow":
        os.environ["LYNSE_TEST_LONG"] = "1"
    os.environ["LYNSE_SOURCE_DIR"] = str(pathlib.Path(__file__).resolve().parent.parent)
    results = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        timeout = SLOW_TIMEOUT_S if options.pace == "slow" else TIMEOUT_S
        waiting = [
            pool.submit(run_program, build, program,
                        SLOW_TIMEOUT_S if program.pace == "slow" else timeout,
                        options.emulator.split())
            for program in wanted
        ]
        for future in concurrent.futures.as_completed(waiting):
            results.append(future.result())
            if sys.stdout.isatty():
                print(f"\r    {len(results)}/{len(wanted)} programs ", end="\r", flush=True)
            report(results[-1], options.verbose)
    if not results:
        print(f"--- no test program matches '{options.match}'" if options.match else
              f"--- {build} has no test programs")
    if results and not options.match:
        write_results(build, results + left_out)
        report_slowest(results)
    apart = [result for result in results if result.kind == "apart"]
    if apart and len(apart) < len(results):
        finish_programs(f"{options.suite}-apart", options, apart, started)
        results = [result for result in results if result.kind != "apart"]
    finish_programs(options.suite, options, results, started)


def compare(options):
    """The C suite is one list: every build ran the same programs, and of each as many cases.

    A program that failed is reported already, and not compared; nor is one that was left out.
    """
    started = time.monotonic()
    known = {}
    for build in map(pathlib.Path, options.builds):
        results = read_results(build).items()
        known[build.name] = {name: r.cases for name, r in results if r.kind == "c-suite"}
    left_out = {tuple(pair.split("=", 1)) for pair in options.without}
    different = 0
    for name in sorted(set().union(*known.values())):
        here = {build: cases.get(name, "none") for build, cases in known.items()
                if (build, name) not in left_out}
        if len({cases for cases in here.values() if cases}) > 1:
            different += 1
            print(f"--- {name}: " + ", ".join(f"{b} {n or 'failed'}" for b, n in here.items()))
    sums = {build: sum(int(n or 0) for n in cases.values()) for build, cases in known.items()}
    print("    cases of the C suite: " + ", ".join(f"{b} {n}" for b, n in sums.items()))
    finish("equal-counts", options.counts, int(not different), different, 0, started)


def pytest(options):
    started = time.monotonic()
    log = pathlib.Path(options.counts).parent / "pytest.xml"
    log.unlink(missing_ok=True)
    process = subprocess.run(
        [options.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={log}",
         *options.tests],
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
            for case in suite.iter("testcase"):
                for skip in case.iter("skipped"):
                    print(f"    skipped: {case.get('name')}: {skip.get('message')}")
    if process.returncode != 0 and failed == 0:
        failed = 1
    if failed or options.verbose:
        print(process.stdout.decode(errors="replace"), flush=True)
    finish(options.suite, options.counts, passed, failed, skipped, started)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("programs", help="the C programs of a build")
    one.add_argument("--suite", required=True)
    one.add_argument("--jobs", type=int, default=os.cpu_count())
    one.add_argument("--pace", choices=["quick", "slow"], default="quick")
    one.add_argument("--match", default="")
    one.add_argument("--emulator", default="", help="the command that runs programs of this build")
    one.add_argument("--threads-as-in", default="", metavar="BUILD",
                     help="leave out what started no thread in the last run of that build")
    one.add_argument("--layers-as-in", default="", metavar="BUILD",
                     help="leave out layers without libraries that the last run of that build saw")
    one.add_argument("build")
    one.set_defaults(run=programs)
    two = commands.add_parser("pytest", help="the Python tests")
    two.add_argument("--suite", default="python")
    two.add_argument("python")
    two.add_argument("tests", nargs="+", help="folders of tests, and after -- options of pytest")
    two.set_defaults(run=pytest)
    three = commands.add_parser("compare", help="the cases that several builds have run")
    three.add_argument("--without", action="append", default=[], metavar="BUILD=PROGRAM")
    three.add_argument("builds", nargs="+")
    three.set_defaults(run=compare)
    for command in (one, two, three):
        command.add_argument("--counts", required=True)
        command.add_argument("-v", dest="verbose", action="store_true")
    options = parser.parse_args()
    options.run(options)


main()
