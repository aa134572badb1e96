"""The sparse model, its engine and the deadline scheduler. Knows no Kafka and no environment."""
