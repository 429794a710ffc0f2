"""The models on offer, one module each. A module is found by being here; see `models.registry`."""
