"""Static pods: manifests, their folder, their mirrors."""
