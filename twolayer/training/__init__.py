"""The network: settings, data, formulas, kernels, training."""
