"""Which network interface leads to the other machines of a run."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys

# Of netdevice(7): the request for an interface's IPv4 address, and where in the answer it stands.
SIOCGIFADDR, REQUEST, ADDRESS = 0x8915, struct.Struct("16s 24x"), slice(20, 24)
NAME_BYTES = 15
# Of a network that exists in documentation only (RFC 5737): the way there is the default one.
ANYWHERE = "192.0.2.1"


def interface_to(host: str) -> str | None:
    """The name of the interface by which this machine and `host` reach each other; None if that is not known.

    It has an IPv4 address and is never the loopback: where the name of this machine itself leads there, as it
    does on many, the interface that leads anywhere counts. Nothing is sent.
    """
    own = _own_address(host)
    if own is not None and own.startswith("127."):
        own = _own_address(ANYWHERE)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        names = [name for _, name in socket.if_nameindex()]
        return next((name for name in names if own is not None and _address(probe, name) == own), None)


def _own_address(host: str) -> str | None:
    """The address from which this machine talks to `host`."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Any port: of a datagram socket this only chooses the way.
        probe.connect((host, 9))
        return str(probe.getsockname()[0])
    return None


def _address(probe: socket.socket, interface: str) -> str | None:
    """The first IPv4 address of an interface, on Linux."""
    if sys.platform != "linux":
        return None
    import fcntl

    try:
        answer = fcntl.ioctl(probe, SIOCGIFADDR, REQUEST.pack(interface.encode()[:NAME_BYTES]))
    except OSError:  # it has none
        return None
    return socket.inet_ntoa(answer[ADDRESS])
