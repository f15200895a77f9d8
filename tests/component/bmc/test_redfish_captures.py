"""The Redfish client against captures of real machines: what each fact is read from, and at what cost."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bios_attributes as bios
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_boot as boot
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_info as info
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_metrics_info as metrics
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_power as power


def entry_of(params: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("bmc_"): value for name, value in params.items()}


def read_metrics(*entries: dict[str, Any], **options: Any) -> dict[str, Any]:
    defaults = {"concurrency": 4, "timeout": 10, "store": False, "rounds": 1, "interval": 0.0, "subset": ["metrics"]}
    return metrics.run({"bmcs": list(entries), **defaults, **options}, False)


def test_a_dgx_h100_is_known_by_its_host_system_and_eight_gpus(start_replay: Any, dgx_capture: Any) -> None:
    bmc = start_replay(dgx_capture)
    found = info.run(bmc.params(subset=None), False)["bmc"]
    assert (found["protocol"], found["power_state"], found["model"]) == ("redfish", "On", "DGXH100")
    assert (found["bios_version"], found["bmc_firmware_version"]) == ("1.1.3", "23.11.20")
    assert [gpu["id"] for gpu in found["gpus"]] == [f"GPU_SXM_{n}" for n in range(1, 9)]
    assert {(gpu["model"], gpu["memory_gb"], gpu["source"]) for gpu in found["gpus"]} == {
        ("H100 80GB HBM3", 80, "processor")
    }
    assert len({gpu["serial_number"] for gpu in found["gpus"]}) == 8
    capabilities = found["capabilities"]
    assert capabilities["profile"] == "ami_dgx"
    assert capabilities["reset_types"] == ["ForceOff", "ForceRestart", "GracefulShutdown", "On"]
    # the host's 150 CPU-side resources and the tray's other processors are not read
    assert len(bmc.asked) < 20
    assert bmc.opened == 1 and not bmc.sessions


def test_the_power_state_alone_takes_two_reads_and_no_session(start_replay: Any, dgx_capture: Any) -> None:
    bmc = start_replay(dgx_capture)
    found = info.run(bmc.params(subset=["power"]), False)["bmc"]
    assert found["power_state"] == "On"
    assert found["serial_number"] is None and found["gpus"] is None
    assert bmc.requests() == ["GET /redfish/v1/Systems", "GET /redfish/v1/Systems/DGX"]


def test_with_system_id_the_power_state_takes_one_read(start_replay: Any, dgx_capture: Any) -> None:
    bmc = start_replay(dgx_capture)
    info.run(bmc.params(subset=["power"], system_id="DGX"), False)
    assert bmc.requests() == ["GET /redfish/v1/Systems/DGX"]


def test_one_metric_report_holds_all_gpu_readings_of_a_dgx(start_replay: Any, dgx_capture: Any) -> None:
    bmc = start_replay(dgx_capture)
    answer = read_metrics(entry_of(bmc.params()), rounds=2)
    (found,) = answer["metrics"]
    assert (found["power_watts"], found["inlet_celsius"]) == (1950.0, 22.0)
    first = found["gpus"][0]
    assert first["id"] == "GPU_SXM_1" and first["source"] == "metric_report"
    # TEMP_1 (60) is the margin to throttling and no temperature
    assert (first["temperature_celsius"], first["margin_celsius"]) == (26.75, 60.0)
    assert (first["memory_temperature_celsius"], first["power_watts"]) == (35.0, 71.676)
    assert len(found["gpus"]) == 8
    # one session over both rounds, and three reads in the second
    assert bmc.opened == 1 and not bmc.sessions
    report = "GET /redfish/v1/TelemetryService/MetricReports/HGX_PlatformEnvironmentMetrics_0"
    second_round = bmc.requests()[bmc.requests().index(report) + 3 :]
    assert second_round[:1] == [report] and len(second_round) == 4
    assert answer["counts"] == {
        "bmcs": 1,
        "rounds": 2,
        "read": 2,
        "failed": 0,
        "points": 0,
        "stored": 0,
        "lost": 0,
        "unasked": 0,
    }


@pytest.mark.parametrize(
    ("capture", "profile", "inlet"), [("hpe_capture", "hpe_ilo", 20.0), ("dell_capture", "dell_idrac", None)]
)
def test_other_vendors_answer_in_the_same_shape(
    start_replay: Any, request: pytest.FixtureRequest, capture: str, profile: str, inlet: float | None
) -> None:
    bmc = start_replay(request.getfixturevalue(capture))
    found = info.run(bmc.params(subset=None), False)["bmc"]
    assert found["capabilities"]["profile"] == profile
    assert found["power_state"] == "On" and found["gpus"] == []
    assert all(found[name] for name in ("manufacturer", "model", "serial_number", "bmc_firmware_version"))
    (read,) = read_metrics(entry_of(bmc.params()))["metrics"]
    assert read["power_watts"] and read["gpus"] == []
    if inlet is not None:
        assert read["inlet_celsius"] == inlet


def test_check_mode_plans_and_writes_nothing(start_replay: Any, dgx_capture: Any) -> None:
    bmc = start_replay(dgx_capture)
    planned = boot.run(bmc.params(target="pxe", persistence="once", mode="uefi", boot_order=["http"]), True)
    assert planned["changed"] and planned["boot"]["target"] == "pxe"
    assert planned["boot"]["boot_order"][0] == "Boot0015"
    assert set(planned["boot"]["boot_order"]) == set(planned["diff"]["before"]["boot_order"])
    staged = bios.run(bmc.params(attributes={"SRIOVEnable": "Disable"}, apply_time="on_reset"), True)
    assert staged["pending"] == {"SRIOVEnable": "Disable"} and staged["reboot_required"]
    switched = power.run(bmc.params(state="off", wait=True, wait_timeout=5), True)
    assert switched["changed"] and switched["power_state"] == "Off"
    assert {asked.path for asked in bmc.asked if asked.method not in ("GET", "DELETE")} == {
        "/redfish/v1/SessionService/Sessions"
    }


def test_an_hpe_registry_is_asked_for_compressed_when_it_refuses_otherwise(start_replay: Any, hpe_capture: Any) -> None:
    import gzip

    def respond(asked: Any) -> Any:
        from replay import Reply

        if asked.path.rstrip("/").lower() == "/redfish/v1/systems/1":
            if asked.headers.get("Accept-Encoding") != "gzip":
                return Reply(406, {})
            packed = gzip.compress(b'{"Id": "1", "PowerState": "On"}')
            return Reply(200, packed, {"Content-Encoding": "gzip"})
        return None

    bmc = start_replay(hpe_capture, respond)
    assert info.run(bmc.params(subset=["power"]), False)["bmc"]["power_state"] == "On"


@pytest.mark.parametrize(
    ("capture", "name", "first"),
    [
        ("dell_capture", "http", ["Boot0000"]),  # by its name only: the path says nothing, and it is no disk
        ("dell_capture", "hdd", ["Boot0001"]),
        ("hpe_capture", "pxe", ["Boot002A", "Boot0022", "Boot0023", "Boot0021", "Boot0028", "Boot0026"]),
        ("dgx_capture", "hdd", ["Boot0000"]),
    ],
)
def test_a_boot_option_without_alias_is_known_by_its_path_or_name(
    start_replay: Any, request: pytest.FixtureRequest, capture: str, name: str, first: list[str]
) -> None:
    bmc = start_replay(request.getfixturevalue(capture))
    with open_bmc(bmc.params(bmc_timeout=20)) as client:
        order = client.resolve_boot_order([name])
    assert set(order[: len(first)]) == set(first)
    assert len(order) == len(set(order))
