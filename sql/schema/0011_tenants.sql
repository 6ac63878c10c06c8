-- All data of notifications belongs to a tenant. Data not created by an API key of a tenant belongs to the operator; the
-- program assigns the rest in the same transaction (core/stores/sqlite/schema.py).
ALTER TABLE api_keys ADD COLUMN tenant_name TEXT;  -- null: a key of the operator, or of the tenant of its merchants

ALTER TABLE notifications ADD COLUMN tenant TEXT NOT NULL DEFAULT 'operator';
CREATE INDEX notifications_of_tenant ON notifications (tenant, created_at_ms, id);
CREATE INDEX notifications_of_tenant_and_status ON notifications (tenant, status, created_at_ms, id);
DROP INDEX notifications_of_user;
CREATE INDEX notifications_of_user ON notifications (user_id, tenant, created_at_ms, id);

ALTER TABLE subscriptions ADD COLUMN tenant TEXT NOT NULL DEFAULT 'operator';
CREATE INDEX subscriptions_of_user ON subscriptions (user_id);

-- Equal user ids in two tenants are two users. SQLite cannot alter a primary key, so the table is rebuilt.
CREATE TABLE contacts_0011 (
    user_id TEXT NOT NULL,
    tenant  TEXT NOT NULL,
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (user_id, tenant, channel)
) WITHOUT ROWID;

INSERT INTO contacts_0011 (user_id, tenant, channel, address) SELECT user_id, 'operator', channel, address FROM contacts;

DROP TABLE contacts;
ALTER TABLE contacts_0011 RENAME TO contacts;
