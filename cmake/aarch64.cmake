# SPDX-License-Identifier: Apache-2.0
# Toolchain file: a 64-bit ARM with Debian's cross compiler; its programs run under qemu-aarch64.
# ./dev test --suite neon installs both, and what tests need of that machine into build/arm64.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)

set(parts ${CMAKE_CURRENT_LIST_DIR}/../build/arm64/usr)
set(CMAKE_C_FLAGS_INIT "-isystem ${parts}/include")
set(CMAKE_FIND_ROOT_PATH ${parts} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
