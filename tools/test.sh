# SPDX-License-Identifier: Apache-2.0
# test.sh — `./dev test`.  Sourced by ./dev.  Each suite adds "name passed failed skipped" to
# build/test-counts; the last line of the output is their sum.

suites_push="tidy release where symbols examples lua python remote methods server docs bench \
asan core-only install flat-only tsan"
suites_all="tidy release where symbols examples lua python remote methods server openapi docs \
bench tiny faults asan asan-full core-only install flat-only tsan tsan-full neon"
counts=$root/build/test-counts

verb_test() {
    suites=$suites_push
    pace=quick
    verbose=
    pattern=
    while [ $# -gt 0 ]; do
        case $1 in
        --all) suites=$suites_all pace=slow ;;
        --suite)
            [ $# -gt 1 ] || die "--suite needs a name"
            suites=$2
            shift
            ;;
        -v) verbose=-v ;;
        -*) die "no option '$1'; ./dev help lists them" ;;
        *) pattern=$1 ;;
        esac
        shift
    done
    [ -z "$pattern" ] || [ "$suites" != "$suites_push" ] || suites=release
    need_packages "$packages_build $packages_test"
    mkdir -p build
    : >"$counts"
    compared=
    emulator=
    ahead=
    trap stop_compiling_ahead EXIT
    for suite in $suites; do
        case $suite in
        tidy | where | symbols | examples | lua | python | remote | methods | server | openapi | \
            docs | bench | install | neon)
            "suite_$suite"
            ;;
        flat-only)
            suite_flat_only
            ;;
        *)
            grep -q "\"name\": \"$suite\"" CMakePresets.json ||
                die "no suite '$suite'; ./dev help says where they are"
            stop_compiling_ahead
            suite_programs "$suite"
            [ "$suite" != release ] || [ -n "$pattern" ] || compile_ahead
            ;;
        esac
    done
    [ -n "$pattern" ] || suite_equal_counts
    total
}

# The builds of suites that are still to come, by what the suites between leave idle: those of
# Python wait for a server, and a server for them.  What does not compile is left to its suite to
# say.
compile_ahead() {
    [ "$jobs" -gt 1 ] || return 0
    (
        trap '[ -z "$compiler" ] || kill "$compiler"; wait; exit 0' TERM
        compiler=
        for suite in $suites; do
            case $suite in release | flat-only | neon) continue ;; esac
            grep -q "\"name\": \"$suite\"" CMakePresets.json || continue
            configure "$suite" -DLYNSE_TESTS=ON || continue
            nice ninja -C "build/$suite" -j $((jobs / 2)) -k 0 --quiet &
            compiler=$!
            status=0
            wait "$compiler" || status=$?
            [ $status -le 1 ] || exit 0 # it was interrupted
        done
    ) >build/compile-ahead.log 2>&1 &
    ahead=$!
}

stop_compiling_ahead() {
    [ -n "${ahead:-}" ] || return 0
    kill "$ahead" 2>/dev/null || true
    wait "$ahead" || true
    ahead=
}

# The suite's line, and its figures for the sum.
count() {
    echo "$*" >>"$counts"
    say "$1: $2 passed, $3 failed$([ "${4:-0}" -eq 0 ] || echo ", $4 skipped")"
}

total() {
    awk '{ passed += $2; failed += $3; skipped += $4 }
        END {
            printf "%d passed, %d failed", passed, failed
            if (skipped) printf ", %d skipped", skipped
            printf "\n"
            exit failed || !passed
        }' "$counts"
}

# A program that prints "cases: N passed, N failed"; one that does not is a failure.
suite_cases() {
    name=$1
    shift
    status=0
    "$@" >"build/$name.log" 2>&1 || status=$?
    line=$(sed -n 's/^cases: \([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "build/$name.log" |
        tail -n 1)
    if [ -z "$line" ]; then
        line="0 1"
    elif [ $status -ne 0 ] && [ "${line#* }" -eq 0 ]; then
        line="${line% *} 1"
    fi
    [ "${line#* }" -eq 0 ] || cat "build/$name.log"
    # shellcheck disable=SC2086
    count "$name" $line 0
}

suite_tidy() {
    suite_cases tidy luajit tests/tidy/tidy.lua
    suite_cases tidy-selftest luajit tests/tidy/selftest.lua
}

# suite_needs SUITE PRESET TARGET...: build what a suite looks at, for it may be the only one.
suite_needs() {
    suite=$1
    build=$2
    shift 2
    configure "$build" -DLYNSE_TESTS=ON && compile "$build" "$@" && return 0
    say "$suite: '$build' does not build"
    count "$suite" 0 1 0
    return 1
}

suite_symbols() {
    suite_needs symbols release lynse lynse_archive lynse_lua lynse_lua_archive || return 0
    suite_cases symbols sh tests/tidy/check_symbols.sh build/release
    sed -n 's/^liblynse.so: /    liblynse.so: /p' build/symbols.log
}

# Exact search alone: how large it is, and what it makes of the files of the other one.
suite_flat_only() {
    suite_needs flat-only release lynse || return 0
    if ! configure flat-only || ! compile flat-only; then
        say "flat-only: does not build"
        count flat-only 0 1 0
        return 0
    fi
    suite_cases flat-symbols sh tests/tidy/check_symbols.sh build/flat-only
    sed -n 's/^liblynse.so: /    liblynse.so: /p' build/flat-symbols.log
    suite_cases flat-only "$(system_python)" tests/host/check_flat_only.py build/release \
        build/flat-only
}

suite_examples() {
    suite_needs examples release examples lynse_program || return 0
    suite_cases examples "$(system_python)" tests/host/check_examples.py build/release
}

# The module for LuaJIT and the program lynse, by the specifications of tests/lua/module.
suite_lua() {
    suite_needs lua release lynse_module lynse_program lynse_module_sweep || return 0
    suite_cases lua sh tests/lua/module/run_specs.sh build/release
}

# Random expressions against SQLite; the long form is what an issue asks for.
suite_where() {
    suite_needs where release where_driver || return 0
    expressions=4000
    [ "$pace" = quick ] || expressions=120000
    suite_cases where "$(system_python)" tests/filter/compare_sqlite.py build/release \
        --expressions "$expressions"
    sed -n 's/^seed /    seed /p' build/where.log
}

# What `cmake --install` gives to a host, with zstd and without.
suite_install() {
    suite_needs install release lynse lynse_archive lynse_lua lynse_lua_archive || return 0
    suite_needs install core-only lynse lynse_archive || return 0
    suite_cases install "$(system_python)" tests/host/check_install.py build/release build/core-only
}

# What the documents show is run; what is made from a table is compared with it.
suite_docs() {
    suite_cases errors "$(system_python)" tools/write_errors.py --check
    suite_cases server-docs "$(system_python)" tools/write_server_docs.py --check
    suite_needs readme release lynse lynse_program || return 0
    suite_cases methods-page "$(system_python)" tools/write_methods.py build/release --check
    python=
    if [ -f pyproject.toml ] && (need_lynse_python); then python=$venv/bin/python; fi
    suite_cases readme "$(system_python)" tests/readme/run_blocks.py build/release \
        ${python:+"$python"}
}

# That indexes can be measured: built and searched by kind alone, with a recall above a floor.
suite_bench() {
    if ! configure release -DLYNSE_BENCH=ON || ! compile release bench_ann || ! (need_venv); then
        say "bench: 'release' does not build"
        count bench 0 1 0
        return 0
    fi
    suite_cases bench "$venv/bin/python" bench/ann.py --short
}

suite_python() {
    if [ ! -f pyproject.toml ]; then
        say "python: no package in this checkout yet"
        return 0
    fi
    (need_lynse_python) || {
        count python 0 1 0
        return 0
    }
    # shellcheck disable=SC2086
    "$(system_python)" tools/run_tests.py pytest --counts "$counts" $verbose \
        "$venv/bin/python" tests/python
}

# What a folder does, a server does over HTTP and over msgpack-RPC: the same cases of all three.
suite_remote() {
    suite_needs remote release lynse_program || return 0
    (need_lynse_python) || {
        count remote 0 1 0
        return 0
    }
    (need_node_parts) || say "remote: without node, whose cases are skipped"
    # shellcheck disable=SC2086
    "$(system_python)" tools/run_tests.py pytest --counts "$counts" --suite remote $verbose \
        "$venv/bin/python" -- tests/python/behaviour tests/python/remote \
        --transports=folder,http,rpc
}

# The program over its sockets: options, logs, and what is done to it on purpose.
suite_server() {
    suite_needs server release lynse_program || return 0
    (need_venv) || {
        count server 0 1 0
        return 0
    }
    # shellcheck disable=SC2086
    LYNSE_PROGRAM=$root/build/release/bin/lynse "$(system_python)" tools/run_tests.py pytest \
        --counts "$counts" --suite server $verbose "$venv/bin/python" tests/server
}

# Every method of the server over real sockets, by clients that the tests write out themselves.
suite_methods() {
    suite_needs methods release lynse_program || return 0
    need_venv
    # shellcheck disable=SC2086
    "$(system_python)" tools/run_tests.py pytest --counts "$counts" --suite methods $verbose \
        "$venv/bin/python" tests/methods
}

# What schemathesis makes of /openapi.json; the long form tries more of each route.
suite_openapi() {
    suite_needs openapi release lynse_program || return 0
    need_schemathesis
    examples=5
    [ "$pace" = quick ] || examples=50
    suite_cases openapi "$(system_python)" tests/openapi/run.py build/release \
        "$root/build/schemathesis/bin/schemathesis" "$examples"
}

# Kernels for 64-bit ARMs, run by an emulator.  Not every machine can get what that takes.
suite_neon() {
    if (need_arm_parts); then
        emulator="qemu-aarch64 -L /usr/aarch64-linux-gnu"
        # An emulator takes ten times as long.
        export LYNSE_TEST_TIMEOUT_S="${LYNSE_TEST_TIMEOUT_S:-1200}"
        suite_programs neon
        emulator=
    else
        say "neon: SKIPPED, nothing of it was tested: the packages above could not be had"
        count neon 0 0 1
    fi
}

# The C programs of one build, named by its manifest.
suite_programs() {
    build=build/$1
    # shellcheck disable=SC2046
    if ! configure "$1" -DLYNSE_TESTS=ON || ! compile "$1" $(matching_targets "$build"); then
        say "$1: does not build"
        count "$1" 0 1 0
        return 0
    fi
    # A program that starts no thread has nothing to show to ThreadSanitizer.  The build asan, which
    # has the same limits, has just said which do.
    # What reaches no library is the same in a core without them as in the build release.
    threads= layers=
    case $1:$pace:$compared in
    tsan:quick:*build/asan*) threads=build/asan ;;
    core-only:quick:*build/release*) layers=build/release ;;
    esac
    [ -n "$emulator" ] || compared="$compared $build"
    # shellcheck disable=SC2086
    "$(system_python)" tools/run_tests.py programs --counts "$counts" --suite "$1" --jobs "$jobs" \
        --pace "$pace" ${pattern:+--match "$pattern"} ${emulator:+--emulator "$emulator"} \
        ${threads:+--threads-as-in "$threads"} ${layers:+--layers-as-in "$layers"} \
        $verbose "$build"
}

# The C suite has the same cases in every build (docs/TESTING.md); without zstd there is no reading
# of what was compressed.
suite_equal_counts() {
    case $compared in
    *" "*" "*) ;;
    *) return 0 ;;
    esac
    # shellcheck disable=SC2086
    "$(system_python)" tools/run_tests.py compare --counts "$counts" \
        --without core-only=compat/test_compat $compared
}

# What to compile: nothing named means all.
matching_targets() {
    [ -n "$pattern" ] || return 0
    targets=$(awk -F '\t' -v p="$pattern" 'index($1, p) { print $2 }' "$1/tests/manifest.txt")
    echo "${targets:-lynse_internal}"
}
