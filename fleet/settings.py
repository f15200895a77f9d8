"""What a site may set, from the environment: every name has the prefix `PALEBLUEDOT_`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

CHECKOUT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Defaults need nothing installed: SQLite and keys under `var/` of the checkout. Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="PALEBLUEDOT_", extra="ignore")

    data_dir: Path = CHECKOUT / "var"
    database_url: str = ""

    api_host: str = "127.0.0.1"
    api_port: int = 8080
    api_url: str = ""
    public_url: str = Field(default="", description="what machines call to report; the API's URL where not set")
    request_limit_bytes: int = 1024 * 1024
    login_rate_limit: str = "20 per minute"
    rate_limit: str = "1200 per minute"
    access_token_ttl_s: int = 900
    refresh_token_ttl_s: int = 7 * 24 * 3600

    jwt_secret_file: Path | None = None
    master_key_file: Path | None = None

    ssh_port: int = Field(default=22, description="where a server that is handed over answers")
    ssh_user: str = "ubuntu"

    kubeconfig: Path | None = None
    tinkerbell_namespace: str = "tinkerbell"
    metadata_url: str = Field(
        default="", description="where systems find Tinkerbell's metadata; cloud-init's own default where not set"
    )
    erase_template: str = Field(default="secure-erase", description="template of release and clean workflows")
    unmanaged_ports: bool = Field(
        default=False, description="offer servers too whose switch port is not on record: nobody moves their ports"
    )

    collect_interval_s: float = 30
    dispatcher_poll_s: float = 0.2
    launcher_slots: int = 8

    claim_ttl_s: float = Field(default=15, description="a service's claim lives this long after a heartbeat")
    external_idle_ttl_s: float = Field(default=120, description="a claim by hand lives this long between two steps")
    external_grace_s: float = Field(default=60, description="… and this much longer than the step it is in")
    resume_by_s: float = Field(default=900, description="an external workflow waits this long for a hand")
    retry_base_s: float = Field(default=2, description="first pause before a step is tried again; doubles each time")
    retry_cap_s: float = 120
    max_attempts: int = Field(default=10, description="runs of one workflow, whatever ended them")
    workflow_deadline_s: float = Field(default=4 * 3600, description="limit of a workflow, all attempts together")

    default_max_gpu_count: int = 8
    default_max_memory_gb: int | None = Field(default=None, description="host memory; None is no ceiling")
    default_max_storage_gb: int | None = Field(default=None, description="local storage; None is no ceiling")

    login_free_attempts: int = Field(default=5, description="wrong passwords before the account is locked for a while")
    login_lock_base_s: float = 2
    login_lock_cap_s: float = 900

    temperature_limit_celsius: float = Field(default=90, description="a GPU at this temperature is alerted on")
    alert_for_s: float = Field(default=0, description="how long a condition must hold before its alert fires")
    monitoring_keep_s: float = Field(default=7 * 24 * 3600, description="figures older than this are pruned")

    enrolment_rules_file: Path | None = Field(
        default=None, description="rules of enrolment while the record holds none"
    )

    roles_dir: Path = CHECKOUT / "roles"
    templates_dir: Path = CHECKOUT / "templates"
    playbooks_dir: Path = CHECKOUT / "playbooks"

    influx_url: str | None = None
    influx_token: SecretStr | None = None
    influx_org: str = "palebluedot"
    influx_bucket: str = "palebluedot"
    influx_timeout_s: float = 5

    # how long an entity may stay in a state before it is reported as overdue
    state_limits_s: dict[str, float] = {
        "server/inspecting": 600,
        "server/reserved": 1800,
        "server/provisioning": 2 * 3600,
        "server/cleaning": 4 * 3600,
        "allocation/reserved": 1800,
        "allocation/provisioning": 2 * 3600,
        "allocation/releasing": 4 * 3600,
        "workflow/pending": 900,
        "workflow/running": 4 * 3600,
        "workflow/waiting": 3600,
        "workflow/held": 24 * 3600,
    }

    @model_validator(mode="after")
    def _derive(self) -> Self:
        if not self.database_url:
            self.database_url = f"sqlite:///{self.data_dir / 'palebluedot.db'}"
        if not self.api_url:
            self.api_url = f"http://{self.api_host}:{self.api_port}"
        if not self.public_url:
            self.public_url = self.api_url
        if self.jwt_secret_file is None:
            self.jwt_secret_file = self.data_dir / "keys" / "jwt.key"
        if self.master_key_file is None:
            self.master_key_file = self.data_dir / "keys" / "master.key"
        return self


@cache
def get_settings() -> Settings:
    """The process's settings, read once. Tests call `get_settings.cache_clear()` after changing the environment."""
    return Settings()
