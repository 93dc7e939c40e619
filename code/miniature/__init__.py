"""The miniature world: procedural shape x texture images and small models trained on them."""
