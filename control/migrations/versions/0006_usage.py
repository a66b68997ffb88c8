"""What tenants have used of metered features."""

from alembic import op

revision = "0006"
down_revision = "0005"

_TABLES = """
CREATE TABLE feature_usage (
    tenant_id UUID NOT NULL,
    period_start TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    feature_id TEXT NOT NULL,
    window_start TIMESTAMP WITH TIME ZONE NOT NULL,
    window_end TIMESTAMP WITH TIME ZONE,
    used BIGINT NOT NULL,
    carried BIGINT NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id, period_start, feature_id),
    CONSTRAINT feature_usage_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    CONSTRAINT feature_usage_counted CHECK (used >= 0 AND carried >= 0)
);
CREATE INDEX feature_usage_window_end ON feature_usage (window_end) WHERE window_end IS NOT NULL;
"""

_MORE = """
GRANT SELECT, DELETE ON feature_usage TO center_steward;

-- Rows that are updated many times a second, and not in an indexed column: room for that in each page.
ALTER TABLE feature_usage SET (fillfactor = 60);
"""


def upgrade() -> None:
    op.execute(_TABLES)
    op.execute(_MORE)
