"""What a site may set of the HTTP service alone, from the environment: every name has the prefix ``PALEBLUEDOT_API_``.

What other rooms need too (address, tokens' lives, rate and size limits) is in `fleet.settings`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class ApiSettings(BaseSettings):
    """Threads, TLS and what stands in front of the service."""

    model_config = SettingsConfigDict(env_prefix="PALEBLUEDOT_API_", extra="ignore")

    threads: int = Field(default=16, ge=2, le=256, description="requests answered at the same time")
    tls_cert_file: Path | None = Field(default=None, description="PEM certificate chain; serves https with it")
    tls_key_file: Path | None = Field(default=None, description="PEM key of that certificate")
    proxy_count: int = Field(
        default=0, ge=0, le=5, description="trusted reverse proxies whose X-Forwarded-* are believed"
    )
    rate_limit_storage: str = Field(
        default="memory://", description="where Flask-Limiter counts; redis:// for several instances"
    )

    @model_validator(mode="after")
    def _whole_pair(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file go together: set both or neither")
        return self
