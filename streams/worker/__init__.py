"""A worker: where Kafka and the engine meet, and the processes that it runs in."""
