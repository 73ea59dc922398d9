"""People and programs at the door: `cli` (command line), `web` (page), `api` (HTTP).

Nothing is imported here: `vouch --help` answers at once.
"""
