"""The refusals of auth that handlers of other domains give as well."""

from protocols.errors import Refusal


class UserNotFound(Refusal):
    """There is no such user."""

    code, number, status = "user_not_found", 507, 404
