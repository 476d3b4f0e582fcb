"""The verbs, a file for each or for a few that belong together.

A new one: a file here that makes a `Verb`, its name in `VERBS` of `server/cli/__main__.py`, and in the shell script
`mnbara` its line of the list and its place beside the lock file that it needs. Tests compare the two.
"""
