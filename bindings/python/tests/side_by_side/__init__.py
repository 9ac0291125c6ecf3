"""Mixpanel's own provider and this one, asked the same; what the comparison needs."""
