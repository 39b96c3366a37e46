"""Options, certificates, logs, processes."""
