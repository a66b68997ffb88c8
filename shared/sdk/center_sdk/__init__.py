"""What solutions and other programs use of the platform: decisions on leases, and features, pushed."""

from center_sdk.aio import AsyncValidator, Committed, Exchanged, Reservation
from center_sdk.credentials import Credentials
from center_sdk.decision import Code, Decision
from center_sdk.errors import (
    CenterError,
    CodeInvalid,
    InvalidRequest,
    NotAuthorized,
    ReservationEnded,
    Unreachable,
    ValidatorClosed,
)
from center_sdk.sync import Validator

__all__ = [
    "AsyncValidator",
    "CenterError",
    "Code",
    "CodeInvalid",
    "Committed",
    "Credentials",
    "Decision",
    "Exchanged",
    "InvalidRequest",
    "NotAuthorized",
    "Reservation",
    "ReservationEnded",
    "Unreachable",
    "Validator",
    "ValidatorClosed",
]
