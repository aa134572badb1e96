"""Capacity planning: what a load would do to workers, before it comes."""
