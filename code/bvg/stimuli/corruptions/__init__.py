"""The corruptions of ImageNet-C: (batch, severity) → images, before they are clipped and stored."""
