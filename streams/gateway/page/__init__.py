"""The live page: what a gateway sees of results, kept small enough for a browser to follow."""
