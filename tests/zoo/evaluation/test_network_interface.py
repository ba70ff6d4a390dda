"""Which interface reaches the other machines, and when gloo is told to use it."""

from __future__ import annotations

import os
import socket
import sys

import pytest
import torch.distributed

from zoo.evaluation import distributed, network_interface
from zoo.evaluation.distributed import RankLostError, join_group
from zoo.evaluation.network_interface import interface_to

MACHINES = {
    "RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500",
}  # fmt: skip

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")


@linux
def test_the_kernel_says_which_address_an_interface_has():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        assert network_interface._address(probe, "lo") == "127.0.0.1"
        assert network_interface._address(probe, "none") is None
    assert network_interface._own_address("127.0.0.1") == "127.0.0.1"
    # The broadcast address: the kernel refuses it to a socket without SO_BROADCAST.
    assert network_interface._own_address("255.255.255.255") is None


@pytest.mark.parametrize(
    ("host", "ways", "name"),
    [
        ("10.9.0.1", {"10.9.0.1": "10.9.0.2"}, "eth1"),
        # The first machine's own name, which resolves to its loopback address.
        ("vm", {"vm": "127.0.1.1", "192.0.2.1": "10.0.0.7"}, "eth0"),
        ("vm", {"vm": "127.0.0.1"}, None),
        ("no-such-host", {}, None),
        ("10.9.0.1", {"10.9.0.1": "10.9.0.3"}, None),  # a second address of an interface
    ],
)
def test_an_interface_is_found_by_its_address(monkeypatch, host, ways, name):
    addresses = {"lo": "127.0.0.1", "eth0": "10.0.0.7", "eth1": "10.9.0.2"}
    monkeypatch.setattr(socket, "if_nameindex", lambda: list(enumerate([*addresses, "none"])))
    monkeypatch.setattr(network_interface, "_address", lambda probe, name: addresses.get(name))
    monkeypatch.setattr(network_interface, "_own_address", ways.get)
    assert interface_to(host) == name


def test_no_interface_is_found_on_other_systems(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert interface_to("127.0.0.1") is None


@pytest.mark.parametrize(
    ("changes", "found", "told"),
    [
        ({}, "eth1", "eth1"),
        ({}, None, None),
        ({"LOCAL_WORLD_SIZE": "4"}, "eth1", None),  # all on one machine
        ({"GLOO_SOCKET_IFNAME": "ib0"}, "eth1", None),  # the user has said which
    ],
)
def test_gloo_gets_the_interface_that_reaches_the_first_machine(monkeypatch, changes, found, told):
    asked = []
    monkeypatch.setattr(distributed, "interface_to", lambda host: asked.append(host) or found)
    monkeypatch.setattr(os, "environ", {})

    def nobody_answers(*arguments: object, **options: object) -> None:
        raise RuntimeError("Connection refused")

    monkeypatch.setattr(torch.distributed, "rendezvous", lambda url: iter([(None, 1, 4)]))
    monkeypatch.setattr(torch.distributed, "PrefixStore", lambda prefix, store: store)
    monkeypatch.setattr(torch.distributed, "init_process_group", nobody_answers)
    with (
        pytest.raises(
            RankLostError, match=r"did not find together: Connection refused\n.*GLOO_SOCKET_IFNAME"
        ),
        join_group("cpu", {**MACHINES, **changes}),
    ):
        pass
    assert os.environ.get("GLOO_SOCKET_IFNAME") == told
    assert asked == ([] if changes else ["127.0.0.1"])
