"""What a dead letter topic holds: read, counted, shown, and sent in again."""
