"""The lab's leaf switch, spoken to by pygnmi."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from ipaddress import IPv4Network
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from pygnmi.client import gNMIclient, gNMIException

from lab.clock import Clock
from lab.config import Network, SwitchConfig
from lab.fabric import Fabric
from lab.faults import FaultSet
from lab.gnmi import GnmiTarget
from lab.log import WriteLog

PORT = "/interfaces/interface[name=Ethernet1]/ethernet/switched-vlan/config"
VLANS = "/network-instances/network-instance[name=default]/vlans"


class Leaf:
    def __init__(self, loop_thread: Any, certificate: Any) -> None:
        self.loop_thread = loop_thread
        self.certificate = certificate
        clock = Clock()
        networks = (
            Network("provisioning", "provisioning", 100, IPv4Network("127.20.0.0/22")),
            Network("quarantine", "quarantine", 666, IPv4Network("127.20.4.0/22")),
            Network("tenant-001", "tenant", 1001, IPv4Network("127.20.16.0/24")),
        )
        self.fabric = Fabric(clock, networks, [SwitchConfig("leaf1", password="s3cret")])
        self.machine: Any = SimpleNamespace(
            name="gpu-001",
            serial_number="165",
            mac="02:47:50:14:00:01",
            switch="leaf1",
            switch_port="Ethernet1",
            power="On",
        )
        self.fabric.connect(self.machine)
        self.log = WriteLog(clock)
        self.faults = FaultSet()
        self.target = GnmiTarget(self.fabric.switches["leaf1"], self.fabric, self.log, self.faults)
        loop_thread.run(self.target.start(certificate.pem, certificate.key_pem))

    def client(self, password: str | None = None) -> Any:
        return gNMIclient(
            target=("127.0.0.1", self.target.port),
            username="admin",
            password=password or self.target.switch.config.password,
            path_cert=str(self.certificate.path),
            gnmi_timeout=5,
        )

    def vlan(self) -> int | None:
        return self.fabric.vlan(self.machine)


@pytest.fixture
def leaf(loop_thread: Any, certificate: Any) -> Iterator[Leaf]:
    logging.getLogger("pygnmi").setLevel(logging.CRITICAL + 1)
    served = Leaf(loop_thread, certificate)
    yield served
    loop_thread.run(served.target.stop())


@pytest.fixture
def client(leaf: Leaf) -> Iterator[Any]:
    with leaf.client() as connected:
        yield connected


def read(client: Any, path: str, **options: Any) -> Any:
    answer = client.get(path=[path], encoding="json_ietf", **options)
    updates = answer["notification"][0]["update"]
    assert len(updates) == 1
    return updates[0]["val"]


def access(vlan: int) -> dict[str, Any]:
    return {"interface-mode": "ACCESS", "access-vlan": vlan}


def code_of(error: gNMIException) -> grpc.StatusCode:
    code: grpc.StatusCode = error.orig_exc.code()
    return code


def test_capabilities_name_models_and_encoding(client: Any) -> None:
    capabilities = client.capabilities()
    assert capabilities["supported_encodings"] == ["json_ietf"]
    assert {"openconfig-vlan", "openconfig-lldp"} <= {model["name"] for model in capabilities["supported_models"]}


def test_a_new_port_is_in_quarantine(leaf: Leaf, client: Any) -> None:
    assert read(client, PORT) == {"openconfig-vlan:interface-mode": "ACCESS", "openconfig-vlan:access-vlan": 666}
    assert leaf.vlan() == 666
    assert leaf.fabric.boot_network(leaf.machine)


def test_a_replaced_access_vlan_moves_the_machine(leaf: Leaf, client: Any) -> None:
    answer = client.set(replace=[(PORT, access(100))], encoding="json_ietf")
    assert [entry["op"] for entry in answer["response"]] == ["REPLACE"]
    assert leaf.vlan() == 100
    assert read(client, PORT + "/access-vlan") == 100
    state = read(client, PORT.replace("config", "state"))
    assert state["openconfig-vlan:access-vlan"] == 100
    (entry,) = leaf.log.select(layer="gnmi")
    assert (entry.machine, entry.action) == ("gpu-001", "port.set")
    assert entry.detail["before"]["access-vlan"] == 666
    assert entry.detail["after"]["access-vlan"] == 100


def test_setting_what_is_so_already_is_logged_as_no_change(leaf: Leaf, client: Any) -> None:
    client.set(replace=[(PORT, access(666))], encoding="json_ietf")
    (entry,) = leaf.log.select("gpu-001", "gnmi")
    assert entry.detail["changed"] is False


def test_a_vlan_must_exist_before_a_port_is_put_into_it(leaf: Leaf, client: Any) -> None:
    with pytest.raises(gNMIException) as error:
        client.set(replace=[(PORT, access(1001))], encoding="json_ietf")
    assert code_of(error.value) == grpc.StatusCode.FAILED_PRECONDITION
    assert "no such VLAN" in str(error.value)
    assert leaf.vlan() == 666
    vlan = {"vlan-id": 1001, "config": {"vlan-id": 1001, "name": "tenant-001", "status": "ACTIVE"}}
    client.set(
        update=[(f"{VLANS}/vlan[vlan-id=1001]", vlan)],
        replace=[(PORT, access(1001))],
        encoding="json_ietf",
    )
    assert leaf.vlan() == 1001
    assert not leaf.fabric.boot_network(leaf.machine)
    assert leaf.fabric.tenant_vlan_of("127.20.16.9") == 1001
    assert read(client, f"{VLANS}/vlan[vlan-id=1001]/config/name") == "tenant-001"
    assert {entry.action for entry in leaf.log} == {"vlan.create", "port.set"}


def test_a_vlan_can_be_made_by_its_config_alone(leaf: Leaf, client: Any) -> None:
    client.set(
        update=[(f"{VLANS}/vlan[vlan-id=1001]/config", {"vlan-id": 1001, "name": "t"})],
        replace=[(PORT, access(1001))],
        encoding="json_ietf",
    )
    assert leaf.vlan() == 1001


def test_a_vlan_in_use_cannot_be_removed(leaf: Leaf, client: Any) -> None:
    with pytest.raises(gNMIException) as error:
        client.set(delete=[f"{VLANS}/vlan[vlan-id=666]"], encoding="json_ietf")
    assert code_of(error.value) == grpc.StatusCode.FAILED_PRECONDITION
    client.set(delete=[f"{VLANS}/vlan[vlan-id=1001]"])  # not there: no error


def test_one_wrong_part_and_nothing_is_done(leaf: Leaf, client: Any) -> None:
    with pytest.raises(gNMIException) as error:
        client.set(
            replace=[(PORT, access(100))],
            update=[("/interfaces/interface[name=Ethernet1]/config", {"mtu-size": 9000})],
            encoding="json_ietf",
        )
    assert code_of(error.value) == grpc.StatusCode.INVALID_ARGUMENT
    assert leaf.vlan() == 666
    assert len(leaf.log) == 0


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("/interfaces/interface[name=Ethernet1]/ethernet/vlan/config", access(100), "no such path"),
        (PORT, {"access-vlan": "100"}, "is not a number from 1 to 4094"),
        (PORT, {"access-vlan": 4095}, "is not a number from 1 to 4094"),
        (PORT, {"interface-mode": "HYBRID"}, "is none of ACCESS, TRUNK"),
        (PORT, {"trunk-vlans": ["9..3"]}, "no range"),
        (PORT.replace("config", "state"), access(100), "cannot be configured"),
        ("/interfaces/interface[port=Ethernet1]/config", {"enabled": True}, "no key port"),
    ],
)
def test_what_the_model_does_not_bear_is_an_invalid_argument(
    leaf: Leaf, client: Any, path: str, value: dict[str, Any], named: str
) -> None:
    with pytest.raises(gNMIException) as error:
        client.set(update=[(path, value)], encoding="json_ietf")
    assert code_of(error.value) == grpc.StatusCode.INVALID_ARGUMENT
    assert named in str(error.value)


def test_a_port_that_is_not_there_is_not_found(client: Any) -> None:
    with pytest.raises(gNMIException) as error:
        client.set(replace=[(PORT.replace("Ethernet1", "Ethernet99"), access(100))], encoding="json_ietf")
    assert code_of(error.value) == grpc.StatusCode.NOT_FOUND
    with pytest.raises(gNMIException) as absent:
        client.get(path=[PORT.replace("Ethernet1", "Ethernet99")], encoding="json_ietf")
    assert code_of(absent.value) == grpc.StatusCode.NOT_FOUND


def test_replace_takes_away_what_is_not_sent_and_update_does_not(leaf: Leaf, client: Any) -> None:
    trunk = {"interface-mode": "TRUNK", "native-vlan": 100, "trunk-vlans": [666, "700..710"]}
    client.set(replace=[(PORT, trunk)], encoding="json_ietf")
    assert leaf.vlan() == 100
    assert read(client, PORT)["openconfig-vlan:trunk-vlans"] == [666, "700..710"]
    client.set(update=[(PORT, {"interface-mode": "ACCESS", "access-vlan": 666})], encoding="json_ietf")
    assert read(client, PORT)["openconfig-vlan:native-vlan"] == 100
    client.set(replace=[(PORT, access(666))], encoding="json_ietf")
    assert read(client, PORT) == {"openconfig-vlan:interface-mode": "ACCESS", "openconfig-vlan:access-vlan": 666}


def test_deletes_come_before_replaces_and_updates(leaf: Leaf, client: Any) -> None:
    client.set(update=[(PORT, access(100))], delete=[PORT], encoding="json_ietf")
    assert leaf.vlan() == 100
    client.set(delete=[PORT])
    assert leaf.vlan() == 1  # the switch's default VLAN, on which nothing is served
    assert not leaf.fabric.boot_network(leaf.machine)


def test_a_port_shut_down_is_on_no_network(leaf: Leaf, client: Any) -> None:
    interface = "/interfaces/interface[name=Ethernet1]"
    client.set(update=[(f"{interface}/config", {"enabled": False})], encoding="json_ietf")
    assert leaf.vlan() is None
    state = read(client, f"{interface}/state")
    assert state["openconfig-interfaces:admin-status"] == "DOWN"
    assert state["openconfig-interfaces:oper-status"] == "DOWN"
    assert isinstance(state["openconfig-interfaces:counters"]["in-octets"], str)


def test_lldp_says_who_is_cabled_there(leaf: Leaf, client: Any) -> None:
    neighbors = "/lldp/interfaces/interface[name={}]/neighbors"
    found = read(client, neighbors.format("Ethernet1") + "/neighbor[id=1]/state")
    assert found["openconfig-lldp:system-name"] == "gpu-001"
    assert found["openconfig-lldp:chassis-id"] == "02:47:50:14:00:01"
    assert read(client, neighbors.format("Ethernet2")) == {"openconfig-lldp:neighbor": []}
    leaf.fabric.move(leaf.machine, "leaf1", "Ethernet2")
    assert read(client, neighbors.format("Ethernet1")) == {"openconfig-lldp:neighbor": []}
    every = client.get(path=["/lldp/interfaces/interface[name=*]/neighbors/neighbor/state"], encoding="json_ietf")
    (update,) = every["notification"][0]["update"]
    assert "[name=Ethernet2]" in update["path"]


def test_the_mac_table_holds_a_running_machine(leaf: Leaf, client: Any) -> None:
    path = "/network-instances/network-instance[name=default]/fdb/mac-table/entries"
    (entry,) = read(client, path)["openconfig-network-instance:entry"]
    assert (entry["mac-address"], entry["vlan"]) == ("02:47:50:14:00:01", 666)
    leaf.machine.power = "Off"
    assert read(client, path) == {"openconfig-network-instance:entry": []}


def test_get_leaves_out_what_was_not_asked_for(client: Any) -> None:
    interface = "/interfaces/interface[name=Ethernet1]"
    config = read(client, interface, datatype="config")
    assert "openconfig-interfaces:state" not in config
    assert "openconfig-interfaces:config" in config
    state = read(client, interface, datatype="state")
    assert "openconfig-interfaces:config" not in state


def test_the_whole_tree_can_be_read(client: Any) -> None:
    assert set(read(client, "/")) == {
        "openconfig-interfaces:interfaces",
        "openconfig-network-instance:network-instances",
        "openconfig-lldp:lldp",
    }


# pygnmi's reader thread does not wait for the end of the call before the channel is closed under it
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_subscribe_once_answers_and_ends(client: Any) -> None:
    subscription = {"mode": "once", "encoding": "json_ietf", "subscription": [{"path": PORT + "/access-vlan"}]}
    answers = list(client.subscribe2(subscribe=subscription))
    assert answers[0]["update"]["update"][0]["val"] == 666
    assert answers[-1]["sync_response"] is True


def test_wrong_credentials_and_encodings_are_refused(leaf: Leaf, client: Any) -> None:
    with pytest.raises(gNMIException) as error, leaf.client("guess"):
        pass
    assert code_of(error.value) == grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(gNMIException) as vendor:
        client.get(path=["arista_native:Sysdb"], encoding="json_ietf")
    assert code_of(vendor.value) == grpc.StatusCode.INVALID_ARGUMENT


def test_faults_strike_as_switched_on(leaf: Leaf, client: Any) -> None:
    leaf.faults.add("gpu-001", "gnmi", "status", match="Set *", value="ABORTED", count=1)
    with pytest.raises(gNMIException) as aborted:
        client.set(replace=[(PORT, access(100))], encoding="json_ietf")
    assert code_of(aborted.value) == grpc.StatusCode.ABORTED
    assert leaf.vlan() == 666
    leaf.faults.add("gpu-001", "gnmi", "lost", match="Set *", count=1)
    with pytest.raises(gNMIException) as lost:
        client.set(replace=[(PORT, access(100))], encoding="json_ietf")
    assert code_of(lost.value) == grpc.StatusCode.UNAVAILABLE
    assert leaf.vlan() == 100
    leaf.faults.add("gpu-001", "gnmi", "drop", match="Set *", count=1)
    with pytest.raises(gNMIException):
        client.set(replace=[(PORT, access(666))], encoding="json_ietf")
    assert leaf.vlan() == 100
    client.set(replace=[(PORT, access(666))], encoding="json_ietf")  # the faults are used up
    assert leaf.vlan() == 666
