"""What people do with their account: prove an address, choose a new password, say who they are."""
