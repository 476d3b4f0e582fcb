"""The refusals of auth that handlers of other domains give as well."""

from typing import Any, ClassVar

from protocols.errors import Refusal


class UserNotFound(Refusal):
    """There is no such user."""

    code, number, status = "user_not_found", 507, 404


class StepUpRequired(Refusal):
    """Show once more that it is you, then ask again: `ways` are those that you have."""

    code, number, status = "step_up_required", 550, 403
    example: ClassVar[dict[str, Any]] = {"ways": ["code"]}
