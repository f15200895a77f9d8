"""Workflows from creation to their end, on machines with real physics, in both dialects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from lab.kube.managed import Writer
from lab.tinkerbell.actions import Toolbox

Dialects = pytest.mark.parametrize("dialect", ["mono", "0.12.2"])

INSTALL = """
version: "0.1"
name: install
global_timeout: 3600
tasks:
  - name: os
    worker: "{{.device_1}}"
    environment: {TASK: "1"}
    actions:
      - name: stream
        image: quay.io/tinkerbell/actions/image2disk:latest
        timeout: 600
        environment:
          IMG_URL: http://images/ubuntu.raw.gz
          DEST_DISK: "{{ index .Hardware.Disks 0 }}"
      - name: netplan
        image: quay.io/tinkerbell/actions/writefile:v1.0.0
        timeout: 90
        environment:
          DEST_DISK: "{{ formatPartition (index .Hardware.Disks 0) 1 }}"
          DEST_PATH: /etc/netplan/60-tenant.yaml
          MODE: 0600
          CONTENTS: |
            network: {version: 2}
      - name: boot
        image: quay.io/tinkerbell/actions/kexec:latest
        timeout: 90
        environment: {BLOCK_DEVICE: /dev/nvme0n1p1, FS_TYPE: ext4}
"""

ERASE = """
version: "0.1"
name: erase
global_timeout: 3600
tasks:
  - name: erase
    worker: "{{.device_1}}"
    actions:
      - name: secure-erase
        image: ghcr.io/palebluedot/actions/secure-erase:v1
        timeout: 600
        environment: {METHOD: crypto, DISKS: all, REPORT_URL: "URL"}
"""

HOLD = """
version: "0.1"
name: hold
global_timeout: TIMEOUT
tasks:
  - name: hold
    worker: "{{.device_1}}"
    actions:
      - name: stream
        image: actions/image2disk:v1
        timeout: LIMIT
        environment: {IMG_URL: u, DEST_DISK: /dev/nvme0n1}
      - {name: boot, image: "actions/kexec:v1", timeout: 90, environment: {BLOCK_DEVICE: /dev/nvme0n1p1}}
"""


def plain(state: str) -> str:
    return state.removeprefix("STATE_")


def action_states(status: dict[str, Any]) -> list[str]:
    return [plain(action.get("state") or action.get("status")) for action in status["tasks"][0]["actions"]]


@Dialects
def test_an_installation_from_power_on_to_the_running_system(tink_lab: Callable[..., Any], dialect: str) -> None:
    async def scenario() -> None:
        async with tink_lab(dialect=dialect) as lab:
            machine = lab.machine
            lab.hardware(machine, allow_pxe=False)
            lab.create("Template", "install", {"data": INSTALL})
            lab.workflow("w1", "install", machine, bootOptions={"toggleAllowNetboot": True})
            prefix = "" if dialect == "mono" else "STATE_"
            status = await lab.until_state("w1", f"{prefix}PENDING")
            assert lab.get("Hardware", machine.name)["spec"]["interfaces"][0]["netboot"]["allowPXE"] is True
            assert status["bootOptions"]["allowNetboot"] == {"toggledTrue": True}
            assert status["globalTimeout"] == 3600

            machine.bmc.override.enabled, machine.bmc.override.target = "Once", "Pxe"
            await machine.power_action("on", "test")
            status = await lab.until_state("w1", f"{prefix}SUCCESS")
            await lab.until(lambda: machine.running == "os")

            assert machine.disks[0].image == "http://images/ubuntu.raw.gz"
            assert machine.disks[0].files == {"/etc/netplan/60-tenant.yaml": "network: {version: 2}\n"}
            assert [boot["device"] for boot in machine.boots] == ["pxe", "kexec"]
            assert action_states(status) == ["SUCCESS"] * 3
            assert lab.get("Hardware", machine.name)["spec"]["interfaces"][0]["netboot"]["allowPXE"] is False
            assert {c["type"] for c in status["conditions"]} == {
                "TemplateRenderedSuccess",
                "AllowNetbootTrue",
                "AllowNetbootFalse",
            }
            task, action = status["tasks"][0], status["tasks"][0]["actions"][1]
            assert action["environment"]["MODE"] == "0600"
            if dialect == "mono":
                assert task["agentID"] == status["agentID"] == machine.mac
                assert status["currentState"]["actionName"] == "boot"
                assert status["currentState"]["taskName"] == "os"
                assert status["currentState"]["actionID"] == task["actions"][2]["id"]
                assert len(task["id"]) == 26
                assert status["templateRendering"] == "successful"
                assert action["executionStart"] and action["executionStop"] and "executionDuration" in action
            else:
                assert task["worker"] == machine.mac
                assert status["currentAction"] == "boot"
                assert status["templateRending"] == "successful"
                assert action["startedAt"] and action["seconds"] >= 0
                assert "id" not in task
            assert [e.action for e in lab.log.select(machine.name, "disk")] == ["image", "file"]

    asyncio.run(scenario())


@Dialects
def test_the_schema_keeps_all_that_is_written_to_a_status(tink_lab: Callable[..., Any], dialect: str) -> None:
    """What the controller writes is pruned and checked by the CRD's schema like anybody's writes."""

    async def scenario() -> None:
        async with tink_lab(dialect=dialect) as lab:
            lab.hardware(lab.machine)
            lab.create("Template", "install", {"data": INSTALL})
            lab.workflow("w1", "install", lab.machine)
            await lab.machine.power_action("on", "test")
            await lab.until(lambda: plain(lab.status("w1").get("state", "")) == "SUCCESS")
            known = lab.kind("Workflow").schema["properties"]["status"]["properties"]
            assert set(lab.status("w1")) <= set(known)
            action = known["tasks"]["items"]["properties"]["actions"]["items"]["properties"]
            assert all(set(found) <= set(action) for found in lab.status("w1")["tasks"][0]["actions"])

    asyncio.run(scenario())


def test_no_boot_service_off_the_boot_networks_or_without_leave(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with tink_lab() as lab:
            machine, other = lab.machines
            assert not await lab.tinkerbell.netboot(machine)  # nobody knows it
            lab.hardware(machine)
            assert await lab.tinkerbell.netboot(machine)  # quarantine is a boot network
            lab.set_vlan(machine, "tenant")
            assert not await lab.tinkerbell.netboot(machine)
            assert await lab.tinkerbell.metadata(machine) is None
            lab.set_vlan(machine, "provisioning")
            assert await lab.tinkerbell.netboot(machine)
            lab.hardware(other, allow_pxe=False)
            assert not await lab.tinkerbell.netboot(other)

    asyncio.run(scenario())


def test_metadata_is_what_the_hardware_says(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with tink_lab() as lab:
            lab.hardware(lab.machine, userData="#cloud-config\n", metadata={"instance": {"id": "i-1"}})
            assert await lab.tinkerbell.metadata(lab.machine) == {
                "userData": "#cloud-config\n",
                "vendorData": "",
                "metadata": {"instance": {"id": "i-1"}},
                "hostname": lab.machine.name,
            }
            lab.faults.add(lab.machine.name, "metadata", "status", value=500, count=1)
            assert await lab.tinkerbell.metadata(lab.machine) is None
            lab.faults.add(lab.machine.name, "metadata", "wrong", count=1)
            assert (await lab.tinkerbell.metadata(lab.machine))["userData"] == ""
            assert (await lab.tinkerbell.metadata(lab.machine))["userData"] == "#cloud-config\n"

    asyncio.run(scenario())


@Dialects
@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("{{ .device_2 }}", 'map has no entry for key "device_2"'),
        ("{{ index .Hardware.Disks 7 }}", "out of range"),
        ("name: x\nglobal_timeout: 1\ntasks: []", "at least one task"),
        (INSTALL.replace("name: netplan", "name: stream"), "cannot have same name"),
        (INSTALL.replace("worker: ", "worker_: "), "empty hardware address"),
        (INSTALL.replace("{{.device_1}}", "{{.device_1"), "unexpected"),
    ],
)
def test_a_template_that_fails_to_render_leaves_no_state(
    tink_lab: Callable[..., Any], dialect: str, data: str, said: str
) -> None:
    async def scenario() -> None:
        async with tink_lab(dialect=dialect) as lab:
            lab.hardware(lab.machine)
            lab.create("Template", "broken", {"data": data})
            lab.workflow("w1", "broken", lab.machine)
            await lab.until(lambda: lab.status("w1").get("conditions"))
            status = lab.status("w1")
            assert status.get("state", "") == ""
            assert status["templateRendering" if dialect == "mono" else "templateRending"] == "failed"
            (condition,) = status["conditions"]
            assert (condition["type"], condition["status"]) == ("TemplateRenderedSuccess", "False")
            assert said in condition["message"]
            # mended, it goes on by itself
            lab.store.patch(
                lab.kind("Template"), "default", "broken", lambda obj: obj | {"spec": {"data": INSTALL}}, Writer("test")
            )
            await lab.until(lambda: plain(lab.status("w1").get("state", "")) == "PENDING")

    asyncio.run(scenario())


def test_missing_template_and_hardware_are_waited_for(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with tink_lab() as lab:
            lab.workflow("w1", "install", lab.machine)
            await lab.until(lambda: lab.status("w1").get("conditions"))
            assert lab.status("w1")["conditions"][0]["message"] == "template not found"
            lab.create("Template", "install", {"data": INSTALL})
            await lab.until(lambda: "hardware not found" in lab.status("w1")["conditions"][0]["message"])
            lab.hardware(lab.machine)
            await lab.until_state("w1", "PENDING")

    asyncio.run(scenario())


@Dialects
def test_a_global_timeout_of_zero_is_over_at_the_first_action(tink_lab: Callable[..., Any], dialect: str) -> None:
    async def scenario() -> None:
        async with tink_lab(dialect=dialect, delays="real") as lab:
            lab.hardware(lab.machine)
            lab.create("Template", "hold", {"data": HOLD.replace("TIMEOUT", "0").replace("LIMIT", "900")})
            lab.workflow("w1", "hold", lab.machine, bootOptions={"toggleAllowNetboot": True})
            await lab.until(lambda: plain(lab.status("w1").get("state", "")) == "PENDING")
            await asyncio.sleep(0.05)
            assert plain(lab.status("w1")["state"]) == "PENDING"  # no clock runs before the first action
            lab.clock.set_speed(20000)
            await lab.machine.power_action("on", "test")
            await lab.until(lambda: plain(lab.status("w1")["state"]) == "TIMEOUT")
            # POST is not run
            assert lab.get("Hardware", lab.machine.name)["spec"]["interfaces"][0]["netboot"]["allowPXE"] is True
            assert "toggledFalse" not in lab.status("w1")["bootOptions"]["allowNetboot"]

    asyncio.run(scenario())


@Dialects
def test_an_action_that_takes_too_long_ends_the_workflow(tink_lab: Callable[..., Any], dialect: str) -> None:
    async def scenario() -> None:
        async with tink_lab(dialect=dialect) as lab:
            lab.hardware(lab.machine)
            lab.create("Template", "hold", {"data": HOLD.replace("TIMEOUT", "360000").replace("LIMIT", "30")})
            lab.faults.add(lab.machine.name, "agent", "slow", match="ACTION stream", value=1e6)
            lab.workflow("w1", "hold", lab.machine)
            await lab.machine.power_action("on", "test")
            await lab.until(lambda: plain(lab.status("w1").get("state", "")) == "TIMEOUT")
            assert action_states(lab.status("w1")) == ["TIMEOUT", "PENDING"]
            assert lab.machine.disks[0].writes == 0

    asyncio.run(scenario())


def test_an_action_of_timeout_zero_is_over_at_once_in_the_old_dialect(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with tink_lab(dialect="0.12.2") as lab:
            lab.hardware(lab.machine)
            lab.create("Template", "hold", {"data": HOLD.replace("TIMEOUT", "3600").replace("LIMIT", "0")})
            lab.faults.add(lab.machine.name, "agent", "slow", value=100, count=1)
            lab.workflow("w1", "hold", lab.machine)
            await lab.machine.power_action("on", "test")
            await lab.until_state("w1", "STATE_TIMEOUT")

    asyncio.run(scenario())


@Dialects
def test_a_failed_action_ends_the_workflow_and_is_never_run_again(tink_lab: Callable[..., Any], dialect: str) -> None:
    async def scenario() -> None:
        async with tink_lab(dialect=dialect) as lab:
            machine = lab.machine
            lab.hardware(machine, allow_pxe=False)
            lab.create("Template", "install", {"data": INSTALL})
            lab.faults.add(machine.name, "agent", "fail_action", value="netplan", count=1)
            lab.workflow("w1", "install", machine, bootOptions={"toggleAllowNetboot": True})
            await lab.until(lambda: plain(lab.status("w1").get("state", "")) == "PENDING")
            await machine.power_action("on", "test")
            await lab.until(lambda: plain(lab.status("w1")["state"]) == "FAILED")
            assert action_states(lab.status("w1")) == ["SUCCESS", "FAILED", "PENDING"]
            assert lab.status("w1")["tasks"][0]["actions"][1]["message"] == "exit status 1"
            assert lab.get("Hardware", machine.name)["spec"]["interfaces"][0]["netboot"]["allowPXE"] is True
            posts = machine.posts
            await machine.power_action("cycle", "test")
            await lab.until(lambda: machine.posts > posts and machine.running == "agent")
            await asyncio.sleep(0.05)
            assert plain(lab.status("w1")["state"]) == "FAILED"
            assert [e.action for e in lab.log.select(machine.name, "disk")] == ["image"]
            # a new attempt is a new object, and the agent that waits takes it up
            lab.workflow("w1-2", "install", machine)
            await lab.until(lambda: plain(lab.status("w1-2").get("state", "")) == "SUCCESS")

    asyncio.run(scenario())


def test_an_unknown_image_fails(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with tink_lab() as lab:
            lab.hardware(lab.machine)
            lab.create("Template", "t", {"data": INSTALL.replace("image2disk", "image2disc")})
            lab.workflow("w1", "t", lab.machine)
            await lab.machine.power_action("on", "test")
            status = await lab.until_state("w1", "FAILED")
            assert (
                "failed to pull image quay.io/tinkerbell/actions/image2disc"
                in (status["tasks"][0]["actions"][0]["message"])
            )

    asyncio.run(scenario())


def test_power_lost_in_an_action_leaves_it_running_until_the_global_timeout(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with tink_lab(delays="demo") as lab:
            machine = lab.machine
            lab.clock.set_speed(1)
            lab.hardware(machine)
            lab.create("Template", "hold", {"data": HOLD.replace("TIMEOUT", "60000").replace("LIMIT", "30000")})
            lab.faults.add(machine.name, "agent", "slow", match="ACTION stream", value=6000, count=1)
            lab.workflow("w1", "hold", machine)
            lab.clock.set_speed(50)
            await machine.power_action("on", "test")
            await lab.until_state("w1", "RUNNING")
            await machine.power_action("cycle", "test")
            await lab.until(lambda: machine.running == "agent")
            await asyncio.sleep(0.1)
            assert action_states(lab.status("w1")) == ["RUNNING", "PENDING"]
            assert machine.disks[0].writes == 0  # mono: nobody runs it again
            lab.clock.set_speed(1e6)
            await lab.until_state("w1", "TIMEOUT")
            assert action_states(lab.status("w1")) == ["RUNNING", "PENDING"]

    asyncio.run(scenario())


def test_the_old_worker_runs_the_current_action_again_after_a_power_cycle(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with tink_lab(dialect="0.12.2", delays="demo") as lab:
            machine = lab.machine
            lab.clock.set_speed(50)
            lab.hardware(machine)
            lab.create("Template", "hold", {"data": HOLD.replace("TIMEOUT", "6000").replace("LIMIT", "3000")})
            lab.faults.add(machine.name, "agent", "slow", match="ACTION stream", value=60, count=1)
            lab.workflow("w1", "hold", machine)
            await machine.power_action("on", "test")
            await lab.until_state("w1", "STATE_RUNNING")
            await machine.power_action("cycle", "test")
            await lab.until_state("w1", "STATE_SUCCESS")
            assert machine.disks[0].image == "u"

    asyncio.run(scenario())


def test_an_agent_cut_off_from_the_boot_network_neither_works_nor_reports(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with tink_lab() as lab:
            machine = lab.machine
            lab.hardware(machine)
            await machine.power_action("on", "test")
            await lab.until(lambda: machine.running == "agent")
            lab.set_vlan(machine, "tenant")
            lab.create("Template", "install", {"data": INSTALL})
            lab.workflow("w1", "install", machine)
            await lab.until_state("w1", "PENDING")
            await asyncio.sleep(0.05)
            assert lab.status("w1")["state"] == "PENDING"
            lab.set_vlan(machine, "provisioning")
            await lab.until_state("w1", "SUCCESS")

    asyncio.run(scenario())


def test_an_agent_that_never_appears_leaves_the_workflow_pending(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with tink_lab() as lab:
            lab.hardware(lab.machine)
            lab.create("Template", "install", {"data": INSTALL})
            lab.faults.add(lab.machine.name, "agent", "never_appears", count=1)
            lab.workflow("w1", "install", lab.machine)
            await lab.machine.power_action("on", "test")
            await lab.until(lambda: lab.machine.running == "agent")
            lab.clock.set_speed(1e6)
            await asyncio.sleep(0.1)
            assert lab.status("w1")["state"] == "PENDING"
            lab.clock.set_speed(1000)
            await lab.machine.power_action("cycle", "test")
            await lab.until_state("w1", "SUCCESS")

    asyncio.run(scenario())


def test_one_agent_never_takes_anothers_work(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with tink_lab() as lab:
            one, two = lab.machines
            lab.hardware(one)
            lab.hardware(two)
            lab.create("Template", "install", {"data": INSTALL})
            lab.workflow("w1", "install", one)
            await two.power_action("on", "test")
            await lab.until(lambda: two.running == "agent")
            await asyncio.sleep(0.05)
            assert lab.status("w1")["state"] == "PENDING"
            await one.power_action("on", "test")
            await lab.until_state("w1", "SUCCESS")
            assert not two.disks[0].writes

    asyncio.run(scenario())


def test_a_disabled_workflow_is_held_until_it_is_enabled(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with tink_lab() as lab:
            lab.hardware(lab.machine)
            lab.create("Template", "install", {"data": INSTALL})
            lab.workflow("w1", "install", lab.machine, disabled=True)
            await lab.until(lambda: lab.status("w1").get("agentID") == lab.machine.mac)
            assert "state" not in lab.status("w1")
            lab.store.patch(
                lab.kind("Workflow"),
                "default",
                "w1",
                lambda obj: obj | {"spec": obj["spec"] | {"disabled": False}},
                Writer("test"),
            )
            await lab.until_state("w1", "PENDING")

    asyncio.run(scenario())


def test_the_erase_reports_every_drive_and_the_agent_stays(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        received: list[dict[str, Any]] = []

        async def take(request: web.Request) -> web.Response:
            received.append(await request.json())
            return web.Response(status=204)

        app = web.Application()
        app.router.add_post("/ingest/erase/token", take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/ingest/erase/token"
        async with tink_lab() as lab:
            machine = lab.machine
            machine.disks[0].image = "old"
            lab.hardware(machine)
            lab.create("Template", "erase", {"data": ERASE.replace('"URL"', f'"{url}"')})
            lab.workflow("w1", "erase", machine)
            machine.bmc.override.enabled, machine.bmc.override.target = "Once", "Pxe"
            await machine.power_action("on", "test")
            await lab.until_state("w1", "SUCCESS")
            (report,) = received
            assert report["hostname"] == machine.name
            assert [disk["serial_number"] for disk in report["disks"]] == [disk.serial for disk in machine.disks]
            assert all(disk["result"] == "success" and disk["verified"] for disk in report["disks"])
            assert set(report["disks"][0]) == {
                "device", "serial_number", "size_gb", "method", "result", "verified", "started_at", "ended_at",
            }  # fmt: skip
            assert len(report["gpus"]) == 8
            assert all(disk.blank for disk in machine.disks)
            assert machine.running == "agent"  # warm: waits for the next workflow
            erased = lab.log.select(machine.name, "disk")
            assert sorted(entry.detail["device"] for entry in erased) == sorted(d.device for d in machine.disks)

            # a drive that fails is reported as such, and fails the workflow
            lab.faults.add(machine.name, "machine", "disk_error", match="erase /dev/nvme3n1", count=1)
            lab.workflow("w2", "erase", machine)
            status = await lab.until_state("w2", "FAILED")
            assert "/dev/nvme3n1" in status["tasks"][0]["actions"][0]["message"]
            results = {disk["device"]: disk["result"] for disk in received[1]["disks"]}
            assert results.pop("/dev/nvme3n1") == "failed"
            assert set(results.values()) == {"success"}
        await runner.cleanup()

    asyncio.run(scenario())


def test_an_erase_whose_report_is_refused_fails(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async def refuse(request: web.Request) -> web.Response:
            return web.Response(status=404)

        app = web.Application()
        app.router.add_post("/{path:.*}", refuse)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/secret"
        async with tink_lab() as lab:
            lab.hardware(lab.machine)
            lab.create("Template", "erase", {"data": ERASE.replace('"URL"', f'"{url}"')})
            lab.workflow("w1", "erase", lab.machine)
            await lab.machine.power_action("on", "test")
            status = await lab.until_state("w1", "FAILED")
            message = status["tasks"][0]["actions"][0]["message"]
            assert "HTTP 404" in message
            assert "secret" not in message
        await runner.cleanup()

    asyncio.run(scenario())


@Dialects
def test_a_boot_mode_waits_for_its_bmc_job(tink_lab: Callable[..., Any], dialect: str) -> None:
    async def scenario() -> None:
        async with tink_lab(dialect=dialect) as lab:
            lab.hardware(lab.machine, bmcRef={"kind": "Machine", "name": "bmc-1"})
            lab.create("Template", "install", {"data": INSTALL})
            for name, ending in (("w1", "Completed"), ("w2", "Failed")):
                lab.workflow(name, "install", lab.machine, bootOptions={"bootMode": "netboot"})
                job = f"netboot-{name}" if dialect == "mono" else "netboot"
                await lab.until(lambda name=name: lab.status(name).get("bootOptions", {}).get("jobs"))
                assert plain(lab.status(name)["state"]) == "PREPARING"
                tasks = lab.get("Job", job)["spec"]["tasks"]
                assert tasks == [
                    {"powerAction": "off"},
                    {"oneTimeBootDeviceAction": {"device": ["pxe"], "efiBoot": True}},
                    {"powerAction": "on"},
                ]
                lab.store.patch(
                    lab.kind("Job"),
                    "default",
                    job,
                    lambda obj, ending=ending: obj | {"status": {"conditions": [{"type": ending, "status": "True"}]}},
                    Writer("rufio", subresource="status"),
                )
                wanted = "PENDING" if ending == "Completed" else "FAILED"
                await lab.until(lambda name=name, wanted=wanted: plain(lab.status(name)["state"]) == wanted)

    asyncio.run(scenario())


def test_a_workflow_deleted_while_it_runs_is_let_go(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with tink_lab() as lab:
            lab.hardware(lab.machine)
            lab.create("Template", "hold", {"data": HOLD.replace("TIMEOUT", "36000").replace("LIMIT", "9000")})
            lab.faults.add(lab.machine.name, "agent", "slow", match="ACTION stream", value=5000, count=1)
            lab.workflow("w1", "hold", lab.machine)
            await lab.machine.power_action("on", "test")
            await lab.until_state("w1", "RUNNING")
            lab.store.delete(lab.kind("Workflow"), "default", "w1", Writer("test"))
            lab.workflow("w1", "hold", lab.machine)  # the same name, another object
            lab.clock.set_speed(20000)
            status = await lab.until_state("w1", "SUCCESS")
            assert action_states(status) == ["SUCCESS", "SUCCESS"]

    asyncio.run(scenario())


TWO_TASKS = """
version: "0.1"
name: pair
global_timeout: 3600
tasks:
  - name: first
    worker: "{{.device_1}}"
    actions:
      - {name: image, image: "actions/image2disk:v1", timeout: 60, environment: {IMG_URL: a, DEST_DISK: /dev/nvme0n1}}
  - name: second
    worker: "{{.device_2}}"
    actions:
      - {name: image, image: "actions/image2disk:v1", timeout: 60, environment: {IMG_URL: b, DEST_DISK: /dev/nvme0n1}}
"""


@Dialects
def test_tasks_of_two_agents_run_one_after_the_other(tink_lab: Callable[..., Any], dialect: str) -> None:
    async def scenario() -> None:
        async with tink_lab(dialect=dialect) as lab:
            one, two = lab.machines
            lab.hardware(one)
            lab.hardware(two)
            lab.create("Template", "pair", {"data": TWO_TASKS})
            lab.workflow("w1", "pair", one, hardwareMap={"device_1": one.mac, "device_2": two.mac})
            await two.power_action("on", "test")
            await lab.until(lambda: two.running == "agent")
            await asyncio.sleep(0.05)
            assert two.disks[0].writes == 0  # not its turn
            await one.power_action("on", "test")
            await lab.until(lambda: plain(lab.status("w1").get("state", "")) == "SUCCESS")
            assert (one.disks[0].image, two.disks[0].image) == ("a", "b")
            if dialect == "mono":
                assert lab.status("w1")["agentID"] == two.mac

    asyncio.run(scenario())


def test_an_agent_cut_off_in_an_action_reports_when_it_is_back(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with tink_lab() as lab:
            machine = lab.machine
            lab.hardware(machine)
            lab.create("Template", "hold", {"data": HOLD.replace("TIMEOUT", "36000").replace("LIMIT", "9000")})
            lab.faults.add(machine.name, "agent", "slow", match="ACTION stream", value=5000, count=1)
            lab.workflow("w1", "hold", machine)
            await machine.power_action("on", "test")
            await lab.until_state("w1", "RUNNING")
            lab.set_vlan(machine, "tenant")
            lab.clock.set_speed(20000)
            await lab.until(lambda: machine.disks[0].image == "u")
            lab.clock.set_speed(100)
            await asyncio.sleep(0.05)
            assert action_states(lab.status("w1")) == ["RUNNING", "PENDING"]
            lab.set_vlan(machine, "provisioning")
            await lab.until_state("w1", "SUCCESS")

    asyncio.run(scenario())


def test_kexec_needs_a_system_on_the_drive(tink_lab: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with tink_lab() as lab:
            lab.hardware(lab.machine)
            data = TWO_TASKS.replace("image2disk", "kexec").replace("DEST_DISK", "BLOCK_DEVICE")
            lab.create("Template", "boot", {"data": data})
            lab.workflow("w1", "boot", lab.machine, hardwareMap={"device_1": lab.machine.mac, "device_2": "x"})
            await lab.machine.power_action("on", "test")
            status = await lab.until_state("w1", "FAILED")
            assert "no file system found" in status["tasks"][0]["actions"][0]["message"]
            assert lab.machine.running == "agent"

    asyncio.run(scenario())


def test_power_lost_while_an_action_is_being_stopped_ends_the_agent(
    tink_lab: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        stopping = asyncio.Event()

        async def reluctant(*_: Any) -> str:
            try:
                await asyncio.Event().wait()
            finally:
                stopping.set()
                await asyncio.sleep(0.2)
            return ""

        monkeypatch.setattr(Toolbox, "run", reluctant)
        async with tink_lab() as lab:
            lab.hardware(lab.machine)
            lab.create("Template", "hold", {"data": HOLD.replace("TIMEOUT", "3600000").replace("LIMIT", "30")})
            lab.workflow("w1", "hold", lab.machine)
            await lab.machine.power_action("on", "test")
            await stopping.wait()
            async with asyncio.timeout(5):
                await lab.machine.power_action("off", "test")
            await asyncio.sleep(0.3)
            assert action_states(lab.status("w1")) == ["RUNNING", "PENDING"]  # the dead do not report

    asyncio.run(scenario())
