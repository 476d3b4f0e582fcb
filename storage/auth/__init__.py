"""Users, sessions, key files, and the count of failed sign-ins."""
