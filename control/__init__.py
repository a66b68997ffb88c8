"""The control plane: the tenant catalog and every change to it."""
