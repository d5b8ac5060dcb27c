#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_symbols.sh — what the built library shows to a host: `check_symbols.sh build/release`.
# Ends with `cases: N passed, N failed`.
set -eu
build=$1
shared=$build/lib/liblynse.so
archive=$build/lib/liblynse.a
header=$(dirname "$0")/../../core/include/lynse.h
# docs/decisions/012-the-library-grows-with-its-indexes.md
stripped_bytes_max=1500000
grep -qs '^LYNSE_INDEXES:BOOL=OFF' "$build/CMakeCache.txt" && stripped_bytes_max=600000

# Files that may keep state of the process: its memory in use, its hooks and sinks, fault points,
# the roots and maps that a fork or a signal must find, the real file system, the kernels chosen.
# Every other variable is a database's.
stateful=" api/open base/alloc base/check base/faults base/log os/fork_registry os/mapping \
os/vfs_posix simd/select store/dir_lock "

passed=0
failed=0
# verdict WHAT FINDINGS: nothing found is a pass.
verdict() {
    if [ -z "$2" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf '%s:\n%s\n' "$1" "$2" | sed '2,$s/^/    /'
    fi
}

shared_symbols() {
    nm -D --defined-only "$shared" 2>/dev/null | awk '{ print $NF }'
}

archive_symbols() {
    nm -g --defined-only "$archive" 2>/dev/null | awk 'NF == 3 { print $3 }'
}

# Functions that lynse.h declares and "$1" does not define; the question needs an api layer.
undefined_by() {
    [ -d "$build/core/CMakeFiles/core_api.dir" ] || return 0
    "${CC:-cc}" -E -P "$header" | tr '\n' ' ' | sed 's/[;{}]/\n/g' |
        grep -v typedef | grep -o 'lynse_[a-z0-9_]* *(' | tr -d ' (' | sort -u |
        while read -r name; do
            "$1" | grep -qx "$name" || echo "$name"
        done
}

# Writable variables, as layer/file: name.
variables() {
    find "$build/core/CMakeFiles" -path '*/core_*.dir/*' -name '*.c.o' | sort |
        while read -r object; do
            file=$(echo "$object" | sed 's|.*/core_[^/]*\.dir/\(.*\)\.c\.o$|\1|')
            case $stateful in *" $file "*) continue ;; esac
            objdump -t "$object" | awk -v file="$file" '
                $0 ~ / O \.(bss|data|tbss|tdata)[. \t]/ && $0 !~ /\.data\.rel\.ro/ {
                    print file ": " $NF
                }'
        done
}

verdict "liblynse.so shows other names than lynse_*" "$(shared_symbols | grep -v '^lynse_' || true)"
verdict "liblynse.a shows other names than lynse_*" "$(archive_symbols | grep -v '^lynse_' || true)"
verdict "declared in lynse.h, missing in liblynse.so" "$(undefined_by shared_symbols)"
verdict "declared in lynse.h, missing in liblynse.a" "$(undefined_by archive_symbols)"
verdict "variables of the process outside the files that may have them" "$(variables)"
verdict "liblynse.so needs more than libc, libm and libzstd" \
    "$(readelf -d "$shared" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
        grep -v -E '^(libc|libm|libpthread|libzstd|ld-linux-[a-z0-9-]*)\.so' || true)"

for lua in "$build/lib/liblynse-lua.so" "$build/lib/liblynse-lua.a"; do
    [ -e "$lua" ] || continue # a build without LuaJIT
    option=-g
    case $lua in *.so) option=-D ;; esac
    verdict "${lua##*/} shows other names than lynse_lua_*, or none" "$(
        names=$(nm $option --defined-only "$lua" 2>/dev/null | awk 'NF == 3 { print $3 }')
        [ -n "$names" ] || echo "none"
        echo "$names" | grep -v '^lynse_lua_' || true
    )"
done

copy=$(mktemp)
strip -o "$copy" "$shared"
bytes=$(stat -c %s "$copy")
rm -f "$copy"
echo "liblynse.so: $bytes bytes stripped"
verdict "liblynse.so is too large" \
    "$([ "$bytes" -le "$stripped_bytes_max" ] || echo "$bytes of $stripped_bytes_max bytes")"

echo "cases: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
