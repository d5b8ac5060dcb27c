# SPDX-License-Identifier: Apache-2.0
"""What schemathesis shall check besides its own: SCHEMATHESIS_HOOKS=checks of tests/openapi/run.py.

Its `not_a_server_error` calls 501 a failure, which is how we say that something is not there yet,
and 504, which is what a short `timeout_ms` asks for.
"""

import schemathesis


@schemathesis.check
def no_unplanned_server_error(ctx, response, case):
    if response.status_code >= 500 and response.status_code not in (501, 503, 504):
        raise AssertionError(f"{response.status_code}: {response.text[:300]}")
