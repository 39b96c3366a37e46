"""The verbs of the Kubernetes API over HTTP, one module each: from an authorised request to its answer.

Lives here: query parameters to options, bodies to documents, outcomes to answers.
Does not live here: what a write does (``moorage.api.writing``), authentication, authorisation, routing.
"""
