"""The record's entities, one a file."""

from fleet.models.alert import Alert
from fleet.models.allocation import Allocation
from fleet.models.allocation_server import AllocationServer
from fleet.models.api_token import ApiToken
from fleet.models.audit_entry import AuditEntry
from fleet.models.base import Base, UtcDateTime
from fleet.models.credential import Credential
from fleet.models.enrolment_rules import EnrolmentRules
from fleet.models.event import Event
from fleet.models.expected_machine import ExpectedMachine
from fleet.models.fleet_flag import FleetFlag
from fleet.models.gpu import Gpu
from fleet.models.gpu_allocation import GpuAllocation
from fleet.models.hardware_config import HardwareConfig
from fleet.models.hardware_profile import HardwareProfile
from fleet.models.image import Image
from fleet.models.ip_address import IpAddress
from fleet.models.leader_lease import LeaderLease
from fleet.models.machine_report import MachineReport
from fleet.models.monitoring_data import MonitoringData
from fleet.models.network import Network
from fleet.models.part_replacement import PartReplacement
from fleet.models.server import Server
from fleet.models.server_nic import ServerNic
from fleet.models.ssh_key import SshKey
from fleet.models.switch import Switch
from fleet.models.template import Template
from fleet.models.user import User
from fleet.models.user_quota import UserQuota
from fleet.models.workflow import Workflow
from fleet.models.workflow_event import WorkflowEvent
from fleet.models.workflow_step import WorkflowStep

__all__ = [
    "Alert",
    "Allocation",
    "AllocationServer",
    "ApiToken",
    "AuditEntry",
    "Base",
    "Credential",
    "EnrolmentRules",
    "Event",
    "ExpectedMachine",
    "FleetFlag",
    "Gpu",
    "GpuAllocation",
    "HardwareConfig",
    "HardwareProfile",
    "Image",
    "IpAddress",
    "LeaderLease",
    "MachineReport",
    "MonitoringData",
    "Network",
    "PartReplacement",
    "Server",
    "ServerNic",
    "SshKey",
    "Switch",
    "Template",
    "User",
    "UserQuota",
    "UtcDateTime",
    "Workflow",
    "WorkflowEvent",
    "WorkflowStep",
]
