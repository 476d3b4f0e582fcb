"""What the transparency log refuses: numbers from 1800 on."""

from typing import Any, ClassVar

from protocols.errors import Refusal


class LogEntryNotFound(Refusal):
    """The log has no such entry in a tree of that size."""

    code, number, status = "log_entry_not_found", 1800, 404
    example: ClassVar[dict[str, Any]] = {"tree_size": 1}


class CheckpointNotFound(Refusal):
    """No checkpoint of that size was signed; a new log signs its first within a second."""

    code, number, status = "checkpoint_not_found", 1801, 404


class TreeTooSmall(Refusal):
    """The log does not have so many entries yet."""

    code, number, status = "tree_too_small", 1802, 404
    example: ClassVar[dict[str, Any]] = {"tree_size": 1}


class TileNotFound(Refusal):
    """The log has no such tile."""

    code, number, status = "tile_not_found", 1803, 404


class BadCheckpoint(Refusal):
    """This is no request to a witness: an old size, hashes, an empty line and a checkpoint."""

    code, number, status = "bad_checkpoint", 1804, 400


class LogNotWitnessed(Refusal):
    """Checkpoints of this log are not witnessed here."""

    code, number, status = "log_not_witnessed", 1805, 404


class CheckpointNotSigned(Refusal):
    """The checkpoint has no valid signature by the key of its log."""

    code, number, status = "checkpoint_not_signed", 1806, 403


class WitnessElsewhere(Refusal):
    """The witness has last seen the log at another size."""

    code, number, status = "witness_elsewhere", 1807, 409
    example: ClassVar[dict[str, Any]] = {"tree_size": 1}
    text = ("text/x.tlog.size", "tree_size")


class SplitView(Refusal):
    """The witness has seen the log at this size with another root."""

    code, number, status = "split_view", 1808, 409


class NotConsistent(Refusal):
    """The proof does not show that the checkpoint continues what the witness has seen."""

    code, number, status = "not_consistent", 1809, 422
