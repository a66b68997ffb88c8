"""The tables of a cluster's database: one MetaData for its own and for those of the shared services that run in it."""

from sqlalchemy import MetaData

# The names that PostgreSQL itself gives, so that what the migrations say and what the models say are the same.
metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)
