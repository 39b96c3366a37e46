"""What tests share: the wait helper, a PostgreSQL with a database per test, API servers, kubectl, whole installations."""
