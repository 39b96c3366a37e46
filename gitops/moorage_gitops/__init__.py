"""Git to desired state: ``host`` (Git over HTTP, inside the API server) and ``engine`` (health of applications: a
client of the API).
"""
