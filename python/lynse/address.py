# SPDX-License-Identifier: Apache-2.0
"""Where a server listens: http://host:port, lynse://host:port, unix:/path."""

from __future__ import annotations

import re
import urllib.parse
from typing import NamedTuple

from .errors import Invalid, Unsupported

REMOTE_SCHEMES = ("http://", "https://", "lynse://", "unix:")
DEFAULT_PORT = 7637
HTTP_PORT = 80
MAX_SOCKET_PATH = 107
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")


class Address(NamedTuple):
    """``path`` is a socket's for "unix", and for "http" what stands before the routes."""

    scheme: str
    host: str
    port: int
    path: str
    uri: str


def is_remote(uri: object) -> bool:
    return isinstance(uri, str) and uri.lower().startswith(REMOTE_SCHEMES)


def refuse_mistaken(text: str) -> None:
    """Invalid where a text that would be a folder is plainly meant as an address: nobody who
    forgot the scheme shall write into a new folder and find the server empty."""
    if _SCHEME.match(text):
        raise Invalid(f"{text!r:.80}: must be a folder, or begin with http://, lynse:// or unix:")
    if _HOST_AND_PORT.fullmatch(text):
        raise Invalid(
            f"{text!r:.80}: a server is 'http://{text:.80}' or 'lynse://{text:.80}', "
            f"and a folder of this name './{text:.80}'"
        )


def parse(uri: str) -> Address:
    """Invalid says what is wrong with it; Unsupported: it asks for TLS."""
    scheme, _, rest = uri.partition(":")
    scheme = scheme.lower()
    if scheme == "https":
        raise Unsupported("https: TLS comes with a later release of Lynse; use http:// or a tunnel")
    if scheme == "unix":
        path = rest[2:] if rest.startswith("///") else rest
        if not path or "\0" in path:
            raise Invalid(f"{uri!r:.80}: must be unix:/path/of/the/socket")
        if len(path.encode()) > MAX_SOCKET_PATH:
            raise Invalid(f"{uri!r:.80}…: a socket's path has {MAX_SOCKET_PATH} bytes at the most")
        return Address(scheme, "", 0, path, uri)
    try:
        parts = urllib.parse.urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise Invalid(f"{uri!r:.80}: {error}") from None
    if not parts.hostname:
        raise Invalid(f"{uri!r:.80}: there is no host in it")
    if parts.username is not None or parts.password is not None:
        raise Invalid("the uri has a name or key in it; give api_key= instead")
    if parts.query or parts.fragment:
        raise Invalid(f"{uri!r:.80}: takes no ? and no #")
    if scheme == "lynse" and parts.path.strip("/"):
        raise Invalid(f"{uri!r:.80}: must be lynse://host:port")
    if port == 0:
        raise Invalid(f"{uri!r:.80}: the port must be 1..65535")
    usual = HTTP_PORT if scheme == "http" else DEFAULT_PORT
    return Address(scheme, parts.hostname, port or usual, parts.path.rstrip("/"), uri)
