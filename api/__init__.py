"""What people and playbooks talk to: the REST service. It holds no rules of its own; those are in ``fleet``."""
