"""Who may bid and up to what: exposure, approvals, blocks."""
