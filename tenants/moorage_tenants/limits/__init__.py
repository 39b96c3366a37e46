"""How much anybody may have: what objects cost, what quotas say, what limit ranges, priorities and classes add or refuse.

``charging`` computes what the store adds up, ``hard`` what it adds up against; the rest are admissions, one module each, and the
loop that writes what was counted into the status of ResourceQuotas. Who may do what at all is ``authorisation``'s.
"""
