"""Making a checkpoint: fine-tune a dense teacher, split it into experts, distil, calibrate."""
