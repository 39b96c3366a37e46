"""Who is behind each Service: EndpointSlices and Endpoints from pods, slices mirrored from Endpoints made by hand, and the API
servers behind ``default/kubernetes``. ``found``, ``slices``, ``classic`` and ``mirror`` decide and are pure; controllers act.
"""
