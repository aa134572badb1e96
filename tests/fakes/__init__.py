"""Named fakes: stand-ins with a behaviour of their own, shared by all suites."""
