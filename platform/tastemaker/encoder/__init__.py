"""The multimodal encoder: images and text in one embedding space."""
