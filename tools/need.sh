# SPDX-License-Identifier: Apache-2.0
# need.sh — what a verb needs, installed once: Debian packages, and Python parts in build/venv.
# Sourced by ./dev.  What is there is found without a network.

packages_build="build-essential cmake ninja-build pkg-config libzstd-dev libxxhash-dev \
libluajit-5.1-dev libuv1-dev libmimalloc-dev"
packages_test="libcmocka-dev luajit lua-busted python3 curl"
packages_lint="clang-format lua-check luajit"
packages_fuzz="clang libclang-rt-14-dev"
packages_arm="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
packages_python="python3 python3-dev python3-venv"
packages_node="nodejs npm"

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# need_packages "PACKAGE..."
need_packages() {
    if ! command -v dpkg-query >/dev/null 2>&1; then
        [ -n "${not_debian:-}" ] || say "not Debian: taking for granted that these are here: $1"
        not_debian=1
        return 0
    fi
    missing=
    for package in $1; do
        case $(dpkg-query -W -f '/${db:Status-Status}/' "$package" 2>/dev/null) in
        */installed/*) ;;
        *) missing="$missing $package" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null 2>&1 ||
        die "neither root nor sudo: please install$missing"
    say "install$missing"
    mkdir -p build
    quietly build/apt.log as_root apt-get update -q ||
        say "apt-get update failed; trying with the lists that are here"
    # shellcheck disable=SC2086
    quietly build/apt.log as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends $missing || die "could not install$missing"
}

# The cross compiler and the emulator, and in build/arm64 the libraries that tests need.  Those come
# from lists of packages of our own, so that this machine's know no second architecture.
need_arm_parts() {
    need_packages "$packages_arm"
    parts=$root/build/arm64
    [ ! -f "$parts/stamp" ] || return 0
    say "libraries for 64-bit ARMs into build/arm64 (once)"
    rm -rf "$parts"
    mkdir -p "$parts/apt/state/lists/partial" "$parts/apt/cache/archives/partial" "$parts/debs"
    (
        cd "$parts/debs"
        set -- apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
            -o Dir::State="$parts/apt/state" -o Dir::Cache="$parts/apt/cache" \
            -o Dir::State::status=/dev/null -o APT::Sandbox::User=
        quietly ../apt.log "$@" update && quietly ../apt.log "$@" download libcmocka-dev \
            libcmocka0 libxxhash-dev
    ) || die "no libraries for 64-bit ARMs"
    for package in "$parts"/debs/*.deb; do
        dpkg-deb -x "$package" "$parts"
    done
    touch "$parts/stamp"
}

# quietly LOG COMMAND...: on a terminal the command's own progress, elsewhere its last words if it
# fails.
quietly() {
    log=$1
    shift
    if [ -t 1 ]; then
        "$@"
    else
        "$@" >"$log" 2>&1 || {
            tail -n 20 "$log"
            return 1
        }
    fi
}

# Debian's python, because packages_python belongs to it; another one only where it is missing.
system_python() {
    if [ -x /usr/bin/python3 ]; then
        echo /usr/bin/python3
    else
        command -v python3 || die "no python3"
    fi
}

need_venv() {
    need_packages "$packages_python"
    python=$(system_python)
    stamp=$({
        echo "$root"
        "$python" --version
        cat tests/python/requirements.txt
    } | sha256sum | cut -d' ' -f1)
    [ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ] || return 0
    say "Python parts into build/venv (once; some minutes on a slow line)"
    rm -rf "$venv"
    "$python" -m venv "$venv" || die "no venv: $python -m venv failed"
    quietly build/python-parts.log "$venv/bin/python" -m pip install --disable-pip-version-check \
        --prefer-binary -r tests/python/requirements.txt ||
        die "pip could not install the Python parts"
    echo "$stamp" >"$venv/stamp"
}

# schemathesis with what it draws in, apart from the parts that tests of ours use.
need_schemathesis() {
    [ ! -f build/schemathesis/stamp ] || return 0
    need_packages "$packages_python"
    say "schemathesis into build/schemathesis (once)"
    rm -rf build/schemathesis
    "$(system_python)" -m venv build/schemathesis || die "no venv for schemathesis"
    quietly build/schemathesis.log build/schemathesis/bin/python -m pip install \
        --disable-pip-version-check --prefer-binary 'schemathesis>=4,<5' ||
        die "pip could not install schemathesis"
    touch build/schemathesis/stamp
}

# A msgpack for JavaScript, for the client of tests/python/remote/foreign.
need_node_parts() {
    if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
        need_packages "$packages_node"
    fi
    stamp=$(cat tests/python/remote/foreign/package*.json | sha256sum | cut -d' ' -f1)
    [ "$(cat build/node-parts/stamp 2>/dev/null)" != "$stamp" ] || return 0
    say "Node parts into build/node-parts (once)"
    rm -rf build/node-parts
    mkdir -p build/node-parts
    cp tests/python/remote/foreign/package*.json build/node-parts
    quietly build/node-parts.log npm ci --prefix build/node-parts --ignore-scripts --no-audit \
        --no-fund --fetch-retries 1 || die "npm could not install the Node parts"
    echo "$stamp" >build/node-parts/stamp
}

# The package of python/, built from this checkout and installed where its sources changed.
need_lynse_python() {
    [ -f pyproject.toml ] || die "this checkout has no Python package yet: no pyproject.toml"
    need_packages "$packages_build"
    need_venv
    stamp=$(find CMakeLists.txt pyproject.toml cmake core lua python scripts -type f \
        ! -name '*.pyc' ! -path '*.egg-info*' -exec sha256sum {} + |
        LC_ALL=C sort | sha256sum | cut -d' ' -f1)
    [ "$(cat "$venv/lynse-stamp" 2>/dev/null)" != "$stamp" ] || return 0
    say "Python package into build/venv"
    mkdir -p build
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-build-isolation --no-deps \
        --no-index --force-reinstall . >build/python-package.log 2>&1 || {
        tail -n 40 build/python-package.log
        die "the Python package did not build: build/python-package.log"
    }
    echo "$stamp" >"$venv/lynse-stamp"
}
