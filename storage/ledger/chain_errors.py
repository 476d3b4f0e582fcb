"""What goes wrong with a chain, each with a word of `Problem`."""

from protocols.errors import Fault
from protocols.ledger.chains import Problem

MESSAGE_MAX = 200


class ChainError(Fault):
    """Anchoring does not go on now; nothing is lost, and it is tried again."""

    def __init__(self, problem: Problem, detail: str) -> None:
        """Name the problem. `detail` is for the operator: a node's words in it are cut and printable."""
        self.problem = problem
        super().__init__("".join(c if c.isprintable() else "?" for c in detail[:MESSAGE_MAX]))


class RefusedCallError(ChainError):
    """The node understood and said no; `detail` has its words."""

    def __init__(self, detail: str) -> None:
        """Keep the node's words."""
        super().__init__("refused", detail)
