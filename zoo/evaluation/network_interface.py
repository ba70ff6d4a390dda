"""Which network interface of this machine reaches the other machines of a run."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys

# From netdevice(7): the ioctl for an interface's IPv4 address, its argument, the address in the answer.
SIOCGIFADDR, REQUEST, ADDRESS_BYTES = 0x8915, struct.Struct("16s 24x"), slice(20, 24)
MAX_NAME_BYTES = 15
# An address reserved for documentation (RFC 5737); packets to it take the default route.
DEFAULT_ROUTE_HOST = "192.0.2.1"


def interface_to(host: str) -> str | None:
    """The name of the interface through which this machine reaches `host`; None if it cannot be found.

    The interface has an IPv4 address and is never the loopback: where `host` is this machine itself, it is
    the interface of the default route. Nothing is sent.
    """
    own = _own_address(host)
    if own is not None and own.startswith("127."):
        own = _own_address(DEFAULT_ROUTE_HOST)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        names = [name for _, name in socket.if_nameindex()]
        return next((name for name in names if own is not None and _address(probe, name) == own), None)


def _own_address(host: str) -> str | None:
    """The IPv4 address of this machine in packets to `host`."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Any port will do: connecting a datagram socket only selects the route.
        probe.connect((host, 9))
        return str(probe.getsockname()[0])
    return None


def _address(probe: socket.socket, interface: str) -> str | None:
    """The first IPv4 address of an interface; None if it has none, and on other systems than Linux."""
    if sys.platform != "linux":
        return None
    import fcntl

    try:
        answer = fcntl.ioctl(probe, SIOCGIFADDR, REQUEST.pack(interface.encode()[:MAX_NAME_BYTES]))
    except OSError:  # the interface has no address
        return None
    return socket.inet_ntoa(answer[ADDRESS_BYTES])
