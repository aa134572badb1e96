"""``headrace demo``: broker, worker, replay and a live view in one process tree."""
