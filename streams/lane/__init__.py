"""The way of one topic's events through a worker, from records to answers and dead letters."""
