"""What a node tells of itself to those who measure: the kubelet's pages for Prometheus, its summary, its health.

Lives here: counters and their text form, and the pages made of them and of the engine's counters. Names, labels and units are the
kubelet's (v1.36) and cAdvisor's, so that dashboards and rules made for them work. Nothing is sampled while nobody looks.
"""
