"""Static pods: pods that a node runs from files of its own, shown in the API as mirrors.

Lives here: reading manifests, following their folder, keeping the mirrors. Running them is the pod workers' work.
"""
