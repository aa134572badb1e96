"""Event logs to Kafka, at the pace that they were recorded in."""
