"""Compares this service with freezer-api 19.0.0: the same requests to both, and every difference a decided one."""
