"""The way to other machines: which interface is named, and when gloo is told of it."""

from __future__ import annotations

import os
import socket
import sys

import pytest
import torch.distributed

from zoo import distributed, network
from zoo.distributed import RankLostError, joined
from zoo.network import interface_to

MACHINES = {
    "RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500",
}  # fmt: skip

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")


@linux
def test_the_loopback_leads_to_this_machine():
    name = interface_to("127.0.0.1")
    assert name in [name for _, name in socket.if_nameindex()]
    assert name.startswith("lo")
    assert interface_to("localhost") == name


@linux
def test_an_interface_is_found_by_its_address(monkeypatch):
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "none"), (2, "eth0"), (3, "wlan0")])
    addresses = {"eth0": "192.0.2.1", "wlan0": "127.0.0.1"}
    monkeypatch.setattr(network, "_address", lambda probe, name: addresses.get(name))
    assert interface_to("127.0.0.1") == "wlan0"


def test_no_way_is_known_to_a_host_that_is_not_there_or_on_other_systems(monkeypatch):
    assert interface_to("no-such-host.invalid") is None
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
def test_gloo_takes_the_interface_that_leads_to_the_first_machine(monkeypatch, changes, found, told):
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
            RankLostError, match=r"do not reach each other: Connection refused\n  GLOO_SOCKET_IFNAME"
        ),
        joined("cpu", {**MACHINES, **changes}),
    ):
        pass
    assert os.environ.get("GLOO_SOCKET_IFNAME") == told
    assert asked == ([] if changes else ["127.0.0.1"])
