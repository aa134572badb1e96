"""``headrace tail``: what a topic says, for people and scripts."""
