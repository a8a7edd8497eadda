"""Shared by the tests of several directories: processes, database servers and the service as it is deployed."""
