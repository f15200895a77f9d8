"""The lab's network operating systems, spoken to by pygnmi: what each takes and what it refuses."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from pygnmi.client import gNMIclient, gNMIException

from lab.clock import Clock
from lab.config import Network, SwitchConfig, make_config, port_name
from lab.fabric import Fabric
from lab.faults import FaultSet
from lab.gnmi import GnmiTarget
from lab.log import WriteLog
from lab.switches import SYSTEMS

MAC = "02:47:50:14:00:01"


class Leaf:
    def __init__(self, loop_thread: Any, certificate: Any, dialect: str) -> None:
        networks = (
            Network("provisioning", "provisioning", 100, IPv4Network("127.20.0.0/22")),
            Network("quarantine", "quarantine", 666, IPv4Network("127.20.4.0/22")),
        )
        clock = Clock()
        self.fabric = Fabric(clock, networks, [SwitchConfig("leaf1", password="s3cret", dialect=dialect)])
        self.machine: Any = SimpleNamespace(
            name="gpu-001",
            serial_number="165",
            mac=MAC,
            switch="leaf1",
            switch_port=port_name(dialect, 1),
            power="On",
        )
        self.fabric.connect(self.machine)
        self.switch = self.fabric.switches["leaf1"]
        self.log, self.faults = WriteLog(clock), FaultSet()
        self.target = GnmiTarget(self.switch, self.fabric, self.log, self.faults)
        loop_thread.run(self.target.start(certificate.pem, certificate.key_pem))

    def vlan(self) -> int | None:
        return self.fabric.vlan(self.machine)


Serve = Callable[[str], tuple[Leaf, Any]]


@pytest.fixture
def serve(loop_thread: Any, certificate: Any) -> Iterator[Serve]:
    logging.getLogger("pygnmi").setLevel(logging.CRITICAL + 1)
    served: list[tuple[Leaf, Any]] = []

    def start(dialect: str) -> tuple[Leaf, Any]:
        leaf = Leaf(loop_thread, certificate, dialect)
        client = gNMIclient(
            target=("127.0.0.1", leaf.target.port),
            username="admin",
            password="s3cret",
            path_cert=str(certificate.path),
            gnmi_timeout=5,
        )
        client.connect()
        served.append((leaf, client))
        return leaf, client

    yield start
    for leaf, client in served:
        client.close()
        loop_thread.run(leaf.target.stop())


def read(client: Any, path: str, **options: Any) -> Any:
    answer = client.get(path=[path], **options)
    (update,) = answer["notification"][0]["update"]
    return update["val"]


def refused(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(gNMIException) as caught:
        call()
    return caught.value.orig_exc.code(), str(caught.value.orig_exc.details())


# --- Cisco NX-OS

NX_PORT = "/System/intf-items/phys-items/PhysIf-list[id=eth1/1]"
NX_VLAN = "/System/bd-items/bd-items/BD-list[fabEncap=vlan-{}]"


def test_nxos_speaks_json_and_its_native_model_only(serve: Serve) -> None:
    _leaf, client = serve("nxos")
    assert client.capabilities()["supported_encodings"] == ["json"]
    assert read(client, NX_PORT)["accessVlan"] == "vlan-666"
    assert read(client, f"device:{NX_PORT[1:]}/mode") == "access"
    code, _text = refused(lambda: client.get(path=["openconfig:interfaces"]))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    code, text = refused(lambda: client.get(path=["/interfaces"]))
    assert (code, "no such path" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    code, text = refused(lambda: client.get(path=[NX_PORT.replace("eth1/1", "*")]))
    assert (code, "wildcards" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)


def test_nxos_takes_twenty_paths_a_request(serve: Serve) -> None:
    _leaf, client = serve("nxos")
    paths = [f"/System/intf-items/phys-items/PhysIf-list[id=eth1/{n}]/mode" for n in range(1, 22)]
    assert len(client.get(path=paths[:20])["notification"]) == 20
    assert refused(lambda: client.get(path=paths))[0] is grpc.StatusCode.INVALID_ARGUMENT
    code, _text = refused(lambda: client.set(update=[(path, "trunk") for path in paths]))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_nxos_moves_a_port_and_forwards_nothing_in_a_vlan_that_is_not_there(serve: Serve) -> None:
    leaf, client = serve("nxos")
    client.set(update=[(NX_PORT, {"accessVlan": "vlan-1207"})])
    assert leaf.vlan() is None
    client.set(update=[(NX_VLAN.format(1207), {"name": "tenant", "accEncap": "vxlan-11207"})])
    assert (leaf.vlan(), leaf.switch.vnis) == (1207, {1207: 11207})
    assert read(client, f"{NX_PORT}/phys-items")["accessVlan"] == "vlan-1207"
    code, text = refused(lambda: client.set(update=[(NX_VLAN.format(100), {"accEncap": "vxlan-11207"})]))
    assert (code, "another VLAN" in text) == (grpc.StatusCode.FAILED_PRECONDITION, True)
    client.set(delete=[f"{NX_VLAN.format(1207)}/accEncap"], update=[(NX_VLAN.format(100), {"accEncap": "vxlan-11207"})])
    assert leaf.switch.vnis == {100: 11207}


def test_nxos_hears_and_learns(serve: Serve) -> None:
    _leaf, client = serve("nxos")
    (heard,) = read(client, "/System/lldp-items/inst-items/if-items/If-list[id=eth1/1]/adj-items")["AdjEp-list"]
    assert (heard["sysName"], heard["chassisIdV"]) == ("gpu-001", MAC)
    (learned,) = read(client, "/System/mac-items/table-items/vlan-items")["MacAddressEntry-list"]
    assert (learned["vlan"], learned["macAddress"], learned["port"]) == ("vlan-666", MAC.upper(), "eth1/1")


# --- Nokia SR Linux

SRL_PORT = "/interface[name=ethernet-1/1]"


def test_srlinux_bridges_by_subinterface_and_mac_vrf(serve: Serve) -> None:
    leaf, client = serve("srlinux")
    port = read(client, SRL_PORT, datatype="config")
    assert port["srl_nokia-interfaces:vlan-tagging"] is False
    assert "srl_nokia-interfaces:oper-state" not in port
    move = {
        "delete": ["/network-instance[name=mac-vrf-666]/interface[name=ethernet-1/1.0]"],
        "update": [
            ("/network-instance[name=mac-vrf-1207]", {"type": "mac-vrf"}),
            ("/network-instance[name=mac-vrf-1207]/interface[name=ethernet-1/1.0]", {"name": "ethernet-1/1.0"}),
        ],
    }
    code, text = refused(lambda: client.set(update=move["update"], encoding="json_ietf"))
    assert (code, "is in mac-vrf-" in text) == (grpc.StatusCode.FAILED_PRECONDITION, True)
    assert leaf.vlan() == 666
    client.set(**move, encoding="json_ietf")
    assert leaf.vlan() == 1207


def test_srlinux_answers_a_wildcard_from_the_root(serve: Serve) -> None:
    _leaf, client = serve("srlinux")
    answer = client.get(path=["/network-instance[name=*]/interface"], encoding="json_ietf", datatype="config")
    (update,) = answer["notification"][0]["update"]
    assert not update["path"]
    instances = update["val"]["srl_nokia-network-instance:network-instance"]
    assert instances[-1]["name"] == "mac-vrf-666"
    assert {"name": "ethernet-1/1.0"} in instances[-1]["interface"]


def test_srlinux_refuses_what_its_model_does_not_bear(serve: Serve) -> None:
    _leaf, client = serve("srlinux")
    code, _text = refused(lambda: client.get(path=["openconfig:interfaces"], encoding="json_ietf"))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    two = [(f"{SRL_PORT}/subinterface[index=5]", {"type": "bridged"})]
    code, text = refused(lambda: client.set(update=two, encoding="json_ietf"))
    assert (code, "only one untagged" in text) == (grpc.StatusCode.FAILED_PRECONDITION, True)
    lost = [("/network-instance[name=mac-vrf-9]/interface[name=ethernet-1/1.9]", {"name": "ethernet-1/1.9"})]
    both = [("/network-instance[name=mac-vrf-9]", {"type": "mac-vrf"}), *lost]
    code, text = refused(lambda: client.set(update=both, encoding="json_ietf"))
    assert (code, "no subinterface" in text) == (grpc.StatusCode.FAILED_PRECONDITION, True)


def test_srlinux_maps_a_vni_by_its_tunnel(serve: Serve) -> None:
    leaf, client = serve("srlinux")
    tunnel = ("/tunnel-interface[name=vxlan1]/vxlan-interface[index=77]", {"ingress": {"vni": 77}})
    member = ("/network-instance[name=mac-vrf-100]/vxlan-interface[name=vxlan1.77]", {"name": "vxlan1.77"})
    assert refused(lambda: client.set(update=[member], encoding="json_ietf"))[0] is grpc.StatusCode.FAILED_PRECONDITION
    client.set(update=[tunnel, member], encoding="json_ietf")
    assert leaf.switch.vnis == {100: 77}
    client.set(delete=[member[0]])
    assert leaf.switch.vnis == {}
    assert read(client, tunnel[0], encoding="json_ietf")["srl_nokia-tunnel-interfaces:ingress"] == {"vni": 77}


# --- SONiC

SONIC_CONFIG = (
    "/openconfig-interfaces:interfaces/interface[name=Ethernet0]"
    "/openconfig-if-ethernet:ethernet/openconfig-vlan:switched-vlan/config"
)


def sonic_path(path: str) -> str:
    """pygnmi takes a module before the first name for an origin; without it the target decides."""
    return path.replace("/openconfig-interfaces:", "/")


def test_sonic_wants_a_target_or_an_origin(serve: Serve) -> None:
    _leaf, client = serve("sonic")
    path = sonic_path(SONIC_CONFIG)
    code, text = refused(lambda: client.get(path=[path], encoding="json_ietf"))
    assert (code, text) == (grpc.StatusCode.UNIMPLEMENTED, "Empty target data not supported")
    by_target = read(client, path, encoding="json_ietf", target="OC-YANG")
    by_origin = read(client, f"openconfig:{path[1:]}", encoding="json_ietf")
    assert by_target == by_origin == {"openconfig-vlan:config": {"interface-mode": "ACCESS", "access-vlan": 666}}


def test_sonic_takes_a_value_in_an_object_of_its_own_name(serve: Serve) -> None:
    leaf, client = serve("sonic")
    path, bare = sonic_path(SONIC_CONFIG), {"interface-mode": "ACCESS", "access-vlan": 100}
    how = {"encoding": "json_ietf", "target": "OC-YANG"}
    code, text = refused(lambda: client.set(update=[(path, bare)], **how))
    assert (code, "own name" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    client.set(update=[(path, {"openconfig-vlan:config": bare})], **how)
    assert leaf.vlan() == 100
    client.set(delete=[path], **how)
    assert leaf.vlan() is None


def test_sonic_has_vlans_as_interfaces_and_no_network_instances(serve: Serve) -> None:
    leaf, client = serve("sonic")
    entry = {"openconfig-interfaces:interface": [{"name": "Vlan7", "config": {"name": "Vlan7", "description": "x"}}]}
    client.set(update=[("/interfaces/interface[name=Vlan7]", entry)], encoding="json_ietf", target="OC-YANG")
    assert leaf.switch.vlans[7].name == "x"
    code, _text = refused(lambda: client.get(path=["/network-instances"], encoding="json_ietf", target="OC-YANG"))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_sonic_keeps_vnis_in_a_database_of_another_origin(serve: Serve) -> None:
    leaf, client = serve("sonic")
    row = "sonic-db:CONFIG_DB/localhost/VXLAN_TUNNEL_MAP/vtep|map_77_Vlan100"
    client.set(update=[(row, {"vlan": "Vlan100", "vni": "77"})], encoding="json_ietf")
    assert leaf.switch.vnis == {100: 77}
    mixed = [(row, {"vlan": "Vlan100", "vni": "77"}), (f"openconfig:{SONIC_CONFIG[1:]}", {})]
    code, text = refused(lambda: client.set(update=mixed, encoding="json_ietf"))
    assert (code, "several origins" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    vlan = "/interfaces/interface[name=Vlan100]"
    code, _text = refused(lambda: client.set(delete=[vlan], target="OC-YANG"))
    assert code is grpc.StatusCode.FAILED_PRECONDITION


# --- Arista EOS


def test_eos_speaks_json_too_and_maps_vnis_on_its_vxlan_interface(serve: Serve) -> None:
    leaf, client = serve("eos")
    assert client.capabilities()["supported_encodings"] == ["json", "json_ietf", "ascii"]
    maps = "/interfaces/interface[name=Vxlan1]/arista-exp-eos-vxlan:arista-vxlan/config/vlan-to-vnis"
    client.set(update=[(maps, {"vlan-to-vni": [{"vlan": 100, "vni": 77}]})], encoding="json_ietf")
    assert leaf.switch.vnis == {100: 77}
    assert read(client, maps, encoding="json") == {"arista-exp-eos-vxlan:vlan-to-vni": [{"vlan": 100, "vni": 77}]}
    twice = [(maps, {"vlan-to-vni": [{"vlan": 666, "vni": 77}]})]
    code, text = refused(lambda: client.set(update=twice, encoding="json_ietf"))
    assert (code, "another VLAN" in text) == (grpc.StatusCode.FAILED_PRECONDITION, True)
    client.set(delete=[f"{maps}/vlan-to-vni[vlan=100]"], update=twice, encoding="json_ietf")
    assert leaf.switch.vnis == {666: 77}


# --- faults, in the physics

PORTS: dict[str, tuple[str, Any]] = {
    "openconfig": (
        "/interfaces/interface[name=Ethernet1]/ethernet/switched-vlan/config",
        {"interface-mode": "ACCESS", "access-vlan": 100},
    ),
    "nxos": (NX_PORT, {"accessVlan": "vlan-100"}),
}


@pytest.mark.parametrize("dialect", sorted(PORTS))
def test_what_becomes_of_a_set_is_up_to_the_fault(serve: Serve, dialect: str) -> None:
    leaf, client = serve(dialect)
    path, value = PORTS[dialect]
    encoding = "json" if dialect == "nxos" else "json_ietf"

    def move() -> None:
        client.set(update=[(path, value)], encoding=encoding)

    leaf.faults.add("gpu-001", "gnmi", "ignored", match="Set *", count=1)
    move()
    assert leaf.vlan() == 666
    leaf.faults.add("gpu-001", "gnmi", "half", match="Set *", count=1)
    assert refused(move)[0] is grpc.StatusCode.ABORTED
    assert leaf.vlan() == 100
    leaf.switch.ports[leaf.machine.switch_port].access_vlan = 666
    leaf.faults.add("gpu-001", "gnmi", "late", match="Set *", value=0.3, count=1)
    started = time.monotonic()
    move()
    assert time.monotonic() - started >= 0.3
    assert leaf.vlan() == 100
    leaf.faults.add("*", "gnmi", "read_only")
    code, text = refused(move)
    assert (code, "read-only" in text) == (grpc.StatusCode.UNIMPLEMENTED, True)


# --- a whole lab


def test_a_lab_has_a_switch_for_each_dialect_that_is_asked_for(tmp_path: Any) -> None:
    config = make_config(tmp_path, servers=5, dialects=sorted(SYSTEMS))
    assert [switch.dialect for switch in config.switches] == sorted(SYSTEMS)
    found = {machine.switch: machine.switch_port for machine in config.machines}
    assert found == {f"leaf{n}": port_name(name, 1) for n, name in enumerate(sorted(SYSTEMS), 1)}
    many = make_config(tmp_path, servers=40, dialects=["nxos"])
    assert [switch.dialect for switch in many.switches] == ["nxos", "nxos"]
    assert (many.machines[32].switch, many.machines[32].switch_port) == ("leaf2", "eth1/1")
    assert make_config(tmp_path, servers=40).machines[31].switch_port == "Ethernet32"
    with pytest.raises(ValueError, match="tin"):
        make_config(tmp_path, dialects=["tin"])
