"""Style transfer: engines, styles, and the images of any folder."""
