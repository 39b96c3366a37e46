"""Who runs now and who waits: requests are sorted into priority levels, and into flows within a level, so that a flood of one
tenant's requests makes that tenant wait and nobody else.

What may live here: classification by FlowSchemas (``classify``), the levels' queues (``queues``), and what follows the
configuration in the store (``control``). Nothing here knows HTTP. Semantics: KEP-1040, API Priority and Fairness.
"""

from moorage.api.fairness.contracts import FlowOwners, Ticket
from moorage.api.fairness.control import FlowControl

__all__ = ["FlowControl", "FlowOwners", "Ticket"]
