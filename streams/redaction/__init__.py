"""Takes named fields and personal data out of what is published."""
