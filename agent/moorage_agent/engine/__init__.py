"""The container engine behind a narrow async contract, its Docker and fake implementations, and the sandbox image.

Lives here: what is said to an engine and how. Knows nothing of pods, of the API or of policies.
"""
