"""The transparency log: every movement of money and every auction's result, in a tree that a stranger can check."""

from handlers.domain import Domain

DOMAIN = Domain(name="ledger")
