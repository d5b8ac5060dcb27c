# SPDX-License-Identifier: Apache-2.0
# lint.sh — `./dev lint`.  Sourced by ./dev.

verb_lint() {
    [ $# -gt 0 ] || set -- format luacheck ruff tidy
    need_packages "$packages_lint"
    mkdir -p build
    : >"$counts"
    for part in "$@"; do
        case $part in
        format | luacheck | ruff | clang-tidy) lint_part "$part" ;;
        tidy) suite_tidy ;;
        *) die "no part '$part'; there are format, luacheck, ruff, tidy, clang-tidy" ;;
        esac
    done
    total
}

lint_part() {
    if "lint_$(echo "$1" | tr - _)" >"build/lint-$1.log" 2>&1; then
        count "$1" 1 0 0
    else
        cat "build/lint-$1.log"
        count "$1" 0 1 0
    fi
}

# The folders of "$@" that this checkout has.
present() {
    for folder in "$@"; do
        [ ! -d "$folder" ] || echo "$folder"
    done
}

lint_format() {
    # shellcheck disable=SC2046
    find $(present core tests bench examples lua server) -name '*.[ch]' -type f | sort |
        while read -r file; do
            clang-format --dry-run -Werror "$file" >/dev/null 2>&1 ||
                echo "$file: not as clang-format -i would have it"
        done >build/unformatted
    cat build/unformatted
    [ ! -s build/unformatted ]
}

lint_luacheck() {
    # shellcheck disable=SC2046
    luacheck --quiet $(present tests/tidy lua scripts tests/lua bench examples)
}

lint_ruff() (
    need_venv
    # shellcheck disable=SC2046
    "$venv/bin/ruff" check --no-cache $(present tools python tests examples)
)

lint_clang_tidy() (
    need_packages clang-tidy
    configure release -DLYNSE_TESTS=ON
    find core -name '*.c' -print0 | xargs -0 -n 4 -P "$jobs" clang-tidy -p build/release --quiet
)
