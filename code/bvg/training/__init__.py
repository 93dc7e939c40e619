"""What train.py calls: data, the debiased step, checkpoints, and the curve of every epoch."""
