"""How much media a shop may keep."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Every plan gets it, whoever made the plan: a shop whose plan says nothing of it could keep nothing.
_FEATURE = """
INSERT INTO features (id, kind, display_name, description, unit, period, schema, default_value, state,
    create_time, update_time, version)
VALUES ('media_bytes', 'METERED', 'Media', 'How many bytes of images and other files a shop may keep.', 'bytes',
    'STANDING', NULL, NULL, 'ACTIVE', now(), now(), 1)
ON CONFLICT (id) DO NOTHING;

UPDATE plan_versions v SET features = v.features || jsonb_build_object('media_bytes',
    jsonb_build_object('limit', w.media_bytes, 'period', 'STANDING', 'soft', false, 'rollover_limit', 0))
FROM (VALUES
    ('starter', 1073741824::bigint),
    ('standard', 107374182400),
    ('pro', 1099511627776),
    ('enterprise', NULL)
) AS w (plan_id, media_bytes)
WHERE w.plan_id = CASE WHEN v.plan_id IN ('starter', 'pro', 'enterprise') THEN v.plan_id ELSE 'standard' END
    AND NOT v.features ? 'media_bytes';
"""


def upgrade() -> None:
    op.execute(_FEATURE)
