"""A Kubernetes API server, as much of one as Tinkerbell's clients can tell."""
