# SPDX-License-Identifier: Apache-2.0
# fuzz.sh — `./dev fuzz`.  Sourced by ./dev.  The corpus is copied to build/<preset>/<target>/corpus
# before it is used: new inputs land there, and what breaks a target beside it.

prove_seconds=60
keep_bytes_max=1024
# The sanitizers stop at the first finding; one allocation has 64 MiB and some (P9).
fuzz_options="-timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=80 -print_final_stats=1"

verb_fuzz() {
    mode=fuzz
    case ${1:-} in
    --prove | --keep)
        mode=${1#--}
        shift
        ;;
    -*) die "no option '$1'; ./dev help lists them" ;;
    esac
    targets=$(fuzz_targets "${1:-}")
    seconds=${2:-120}
    case $seconds in '' | *[!0-9]*) die "seconds must be a number: $seconds" ;; esac
    need_packages "$packages_build $packages_test $packages_fuzz"
    preset=fuzz
    [ "$mode" != prove ] || preset=fuzz-planted
    configure "$preset" -DLYNSE_TESTS=ON
    # shellcheck disable=SC2046,SC2086
    compile "$preset" $(printf 'fuzz_%s ' $targets)
    case $mode in
    fuzz) fuzz_each fuzz_one ;;
    keep) fuzz_each keep_one ;;
    prove) prove ;;
    esac
}

# The target "$1", or all.
fuzz_targets() {
    if [ -n "$1" ]; then
        [ -f "tests/fuzz/fuzz_$1.c" ] || die "no fuzz target tests/fuzz/fuzz_$1.c"
        echo "$1"
    else
        find tests/fuzz -name 'fuzz_*.c' | sed 's/.*fuzz_//; s/\.c$//' | sort
    fi
}

# "$1 TARGET" for each, as many at a time as there are jobs; fails if one of them does.
fuzz_each() {
    workers=
    first=0
    while [ "$first" -lt "$jobs" ]; do
        (
            status=0
            index=0
            for target in $targets; do
                [ $((index % jobs)) -ne "$first" ] || "$1" "$target" || status=1
                index=$((index + 1))
            done
            exit $status
        ) &
        workers="$workers $!"
        first=$((first + 1))
    done
    status=0
    for worker in $workers; do
        wait "$worker" || status=1
    done
    return $status
}

# run_target TARGET OPTION...: from the folder that holds its copy of the corpus; output in its log.
run_target() {
    home=$root/build/$preset/$1
    program=$root/build/$preset/tests/fuzz/fuzz_$1
    shift
    # shellcheck disable=SC2086
    (cd "$home" && exec "$program" $fuzz_options -artifact_prefix="$home/" "$@" corpus) \
        >"$home/log" 2>&1
}

copy_corpus() {
    mkdir -p "build/$preset/$1/corpus"
    cp "tests/corpus/$1"/* "build/$preset/$1/corpus/"
}

# A figure of the log's end, as number_of_executed_units.
stat_of() {
    sed -n "s/^stat::$2: *//p" "build/$preset/$1/log"
}

fuzz_one() {
    copy_corpus "$1" || return 1
    say "fuzz $1 for $seconds s"
    if ! run_target "$1" -max_total_time="$seconds"; then
        tail -n 40 "build/$preset/$1/log"
        say "fuzz $1: FAILED, see build/$preset/$1"
        return 1
    fi
    say "fuzz $1: $(stat_of "$1" number_of_executed_units) runs," \
        "$(stat_of "$1" average_exec_per_sec) a second, no finding"
}

# ---- --prove: defects of core/base/planted.h, each to be found by its target ----

planted_defects() {
    sed -n 's/^ *_(\([A-Z0-9_]*\), "\([a-z0-9]*\)".*/\2 \1/p' core/base/planted.h
}

prove() {
    proved=$targets
    for target in $proved; do
        planted_defects | grep -q "^$target " || die "no defect of $target in core/base/planted.h"
    done
    rm -f build/"$preset"/*/proof
    fuzz_each prove_one || true
    missed=0
    found=0
    for target in $proved; do
        result=$(cat "build/$preset/$target/proof" 2>/dev/null || echo "0 1")
        found=$((found + ${result% *}))
        missed=$((missed + ${result#* }))
    done
    say "planted defects: $found found, $missed missed"
    [ "$missed" -eq 0 ]
}

# From the committed corpus, which must be clean before the defect is on: what is found is it.
prove_one() {
    home=build/$preset/$1
    rm -rf "$home"
    mkdir -p "$home"
    copied=$1
    found_here=0
    missed_here=0
    for defect in $(planted_defects | sed -n "s/^$1 //p"); do
        rm -rf "$home/corpus" "$home"/crash-*
        if copy_corpus "$copied" && run_target "$1" -runs=0 && find_defect "$1" "$defect"; then
            found_here=$((found_here + 1))
        else
            say "prove $1: $defect NOT found, see $home/log"
            missed_here=$((missed_here + 1))
        fi
    done
    echo "$found_here $missed_here" >"$home/proof"
}

# A crash, of whatever exit status: an input that is slow, or large, or leaks is no proof.
find_defect() {
    (
        LYNSE_PLANTED=$2
        export LYNSE_PLANTED
        run_target "$1" -seed=1 -max_total_time=$prove_seconds
    ) || true
    [ -n "$(find "build/$preset/$1" -name 'crash-*')" ] || return 1
    what=$(sed -n "s|$root/||g; s/^SUMMARY: \(.*Sanitizer\)/\1/p; s/.*check failed/check failed/p" \
        "build/$preset/$1/log" | head -n 1)
    say "prove $1: $2 found after $(stat_of "$1" number_of_executed_units) runs: $what"
}

# ---- --keep: the fewest inputs of build/fuzz/<target>/corpus that cover what all of them do ----

keep_one() {
    home=$root/build/$preset/$1
    copy_corpus "$1" || return 1
    rm -rf "$home/kept"
    cp -r "tests/corpus/$1" "$home/kept"
    "$root/build/$preset/tests/fuzz/fuzz_$1" -set_cover_merge=1 -use_counters=0 \
        -max_len=$keep_bytes_max \
        "$home/kept" "$home/corpus" >"$home/log" 2>&1 || {
        tail -n 20 "$home/log"
        return 1
    }
    before=$(find "tests/corpus/$1" -type f | wc -l)
    cp -n "$home/kept"/* "tests/corpus/$1/"
    after=$(find "tests/corpus/$1" -type f | wc -l)
    say "keep $1: $((after - before)) inputs more in tests/corpus/$1, $after now," \
        "$(du -bs "tests/corpus/$1" | cut -f1) bytes"
}
