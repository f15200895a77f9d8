"""Tinkerbell as a data centre sees it: workflow controller, tink server, boot service and agent."""
