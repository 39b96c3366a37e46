"""Pure logic of the Git host and the GitOps engine."""
