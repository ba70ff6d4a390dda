"""Which network interface leads to the other machines of a run."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys

# Of netdevice(7): the request for an interface's IPv4 address, and where in the answer it stands.
SIOCGIFADDR, REQUEST, ADDRESS = 0x8915, struct.Struct("16s 24x"), slice(20, 24)
NAME_BYTES = 15


def interface_to(host: str) -> str | None:
    """The name of the interface by which this machine reaches `host` over IPv4; None if that is not known.

    That of a host's own address is the interface that has it. Nothing is sent.
    """
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Any port: of a datagram socket this only chooses the way.
        probe.connect((host, 9))
        own = probe.getsockname()[0]
        for _, name in socket.if_nameindex():
            if _address(probe, name) == own:
                return name
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
