"""Apps behind the result topics; they know the contracts alone, and run without the model."""
