"""Wire contracts: events, results, dead letters and how they travel in Kafka records."""
