"""What the tests of several directories share: processes, database servers and the service as it is deployed."""
