"""How one Acme behaves."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How this Acme behaves; every `_seconds` is in seconds, `None` switches a limit off."""

    access_token_seconds: float = 600
    refresh_token_seconds: float = 30 * 24 * 3600
    code_seconds: float = 60
    device_seconds: float = 600
    device_interval_seconds: float = 5
    rate_limit: int = 300
    rate_window_seconds: float = 60
    rate_algorithm: str = "fixed"
    rate_enforced: bool = True
    count_refused: bool = False
    burst_limit: int | None = None
    burst_seconds: float = 1
    max_concurrent: int | None = None
    message_delivery_seconds: float = 0.2
    webhook_retry_seconds: tuple[float, ...] = (0.2, 0.5, 1, 2)
    webhook_timeout_seconds: float = 5

    def __post_init__(self) -> None:
        if self.rate_algorithm not in {"fixed", "bucket", "sliding"}:
            raise ValueError("rate_algorithm must be fixed, bucket or sliding")
        if self.rate_limit < 1 or self.rate_window_seconds <= 0:
            raise ValueError("rate_limit and rate_window_seconds must be positive")
