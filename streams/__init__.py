"""Kafka in, verdicts out: the worker service, brokers, replay and the command line."""
