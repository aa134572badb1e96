"""``headrace top``: what a running group does, from Kafka and the workers' metrics, at a glance."""
