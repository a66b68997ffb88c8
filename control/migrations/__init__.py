"""Schema of the control plane's database, by alembic."""
