"""Proof that check mode predicts, that an audit leaves no trace, and that every control finds what it should."""
