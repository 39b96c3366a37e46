"""resource.k8s.io/v1: devices that pods ask for (dynamic resource allocation): classes, claims, templates of claims, slices.

The objects are kept and checked as Kubernetes does, for drivers and schedulers that somebody brings along; nothing here allocates
a device, and the scheduler says so of pods that need one.
Source: "Dynamic Resource Allocation" in the Kubernetes documentation; pkg/apis/resource/validation.
"""
