"""Pods: what to do next (pure), doing it, and what to tell about it.

Lives here: the planner, one worker per pod, status and events. Speaks to the engine through its contract only.
"""
