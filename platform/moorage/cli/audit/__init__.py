"""``moorage audit``: who did what, from where, through which commit; and whether nobody has tampered with that.

Lives here: the commands, how rows are asked for and how they are shown.
"""

from moorage.cli.audit.commands import app

__all__ = ["app"]
