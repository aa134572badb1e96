"""Events sent in over HTTP: checked as the worker will, and answered once the broker has them."""
