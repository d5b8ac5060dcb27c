#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run_specs.sh — the specifications beside it, in LuaJIT, with the module of a build:
# `run_specs.sh build/release`.  Ends with `cases: N passed, N failed`.
set -eu
here=$(dirname "$0")
build=$(cd "$1" && pwd)

# What the module shows, and the libraries that it needs; no Lua among them.
passed=0
failed=0
verdict() {
    if [ -z "$2" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf '%s:\n%s\n' "$1" "$2"
    fi
}
module=$build/lib/lua/lynse.so
verdict "lynse.so shows other names than luaopen_lynse" \
    "$(nm -D --defined-only "$module" | awk '$NF != "luaopen_lynse" { print $NF }')"
verdict "lynse.so needs more than libc, libm and libzstd" \
    "$(readelf -d "$module" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
        grep -v -E '^(libc|libm|libpthread|libzstd|ld-linux-[a-z0-9-]*)\.so' || true)"

scratch=$(mktemp -d)
said=$scratch/said
server=
trap 'kill $server 2>/dev/null || true; rm -rf "$scratch"' EXIT
verdict "memory of Lua's that runs out" "$("$build/tests/lua/memory_sweep" \
    "$here/memory_scenario.lua" "$scratch/folder" >"$said" 2>&1 || cat "$said")"
mkfifo "$scratch/log"
"$build/bin/lynse" serve --data-dir "$scratch/served" --socket "$scratch/socket" --port 0 \
    >"$scratch/log" 2>&1 &
server=$!
exec 3<"$scratch/log"
read -r _ <&3 # it listens
verdict "memory of Lua's that runs out, with a server" "$("$build/tests/lua/memory_sweep" \
    "$here/memory_remote_scenario.lua" "unix:$scratch/socket" >"$said" 2>&1 || cat "$said")"
kill $server
server=
exec 3<&-
status=0
LYNSE_PROGRAM=$build/bin/lynse busted --lua=luajit --helper="$here/quiet_jit.lua" --output=TAP \
    --cpath="$build/lib/lua/?.so" "$here" >"$said" 2>&1 || status=$?
cat "$said"
passed=$((passed + $(grep -c '^ok ' "$said" || true)))
bad=$(grep -c '^not ok ' "$said" || true)
[ "$bad" -gt 0 ] || [ "$status" -eq 0 ] || bad=1 # it ended without a word
failed=$((failed + bad))

echo "cases: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
