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

# compile PRESET [TARGET]...: progress on a terminal; elsewhere what the compiler says, of a failure
# its end.
compile() {
    preset=$1
    shift
    say "compile $preset${*:+: $*}"
    if [ -t 1 ]; then
        ninja -C "build/$preset" -j "$jobs" "$@"
    elif ninja -C "build/$preset" -j "$jobs" --quiet "$@" >"build/compile-$preset.log" 2>&1; then
        sed '/^ninja: no work to do/d' "build/compile-$preset.log"
    else
        tail -n 60 "build/compile-$preset.log"
        say "the whole of it: build/compile-$preset.log"
        return 1
    fi
}

verb_build() {
    need_packages "$packages_build"
    configure release -DLYNSE_TESTS=OFF || exit 1
    mkdir -p build/release/bin
    compile release || exit 1
    for file in build/release/lib/liblynse.so build/release/lib/liblynse.a \
        build/release/lib/lua/lynse.so build/release/bin/lynse; do
        [ -f "$file" ] || continue # the last two where there is LuaJIT
        say "$file ($(stat -L -c %s "$file" | awk '{ printf "%.0f kB", $1 / 1000 }'))"
    done
}
