"""The journal and the measurements: in a database (SQLite or PostgreSQL), or in memory for simulations."""
