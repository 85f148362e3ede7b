"""The fault laboratory: kills and errors at chosen points, and what must hold after each (research §5)."""
