# SPDX-License-Identifier: Apache-2.0
# The extension that cffi makes of lynse.h: C names, checked by the C compiler.
from typing import Any

ffi: Any
lib: Any
