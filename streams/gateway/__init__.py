"""Results over HTTP, for those who have no Kafka client."""
