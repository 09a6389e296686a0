"""One iteration taken apart, and whether its gradients are right."""
