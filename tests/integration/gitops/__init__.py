"""The Git host and the GitOps engine over real parts."""
