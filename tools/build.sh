# SPDX-License-Identifier: Apache-2.0
# build.sh — configure and compile the builds of CMakePresets.json.  Sourced by ./dev.

# configure PRESET [-DOPTION=VALUE]...
configure() {
    preset=$1
    shift
    mkdir -p build
    cmake --preset "$preset" -DLYNSE_WERROR="$werror" "$@" >"build/configure-$preset.log" 2>&1 || {
        cat "build/configure-$preset.log"
        say "cmake failed for the build '$preset'"
        return 1
    }
}

# compile PRESET [TARGET]...: ninja shows its progress on a terminal, and errors anywhere.
compile() {
    preset=$1
    shift
    say "compile $preset${*:+: $*}"
    if [ -t 1 ]; then
        ninja -C "build/$preset" -j "$jobs" "$@"
    else
        ninja -C "build/$preset" -j "$jobs" --quiet "$@"
    fi
}

verb_build() {
    # shellcheck disable=SC2086
    need_packages $packages_build
    configure release -DLYNSE_TESTS=OFF || exit 1
    mkdir -p build/release/bin
    compile release || exit 1
    for file in build/release/lib/liblynse.so build/release/lib/liblynse.a; do
        say "$file ($(stat -L -c %s "$file" | awk '{ printf "%.0f kB", $1 / 1000 }'))"
    done
}
