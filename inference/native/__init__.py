"""The encoder's forward pass as one native call, and the same arithmetic in torch."""
