"""The network as numbers: specifications, golden functions, PyTorch layers and training."""
