"""Services, endpoints, policies and volumes of a cluster, on a real API server or a real kernel."""
