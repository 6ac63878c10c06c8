-- Notifications, and the status of their delivery. Instants are milliseconds since 1970 UTC; lists are JSON text.

CREATE TABLE notifications (
    id             TEXT    NOT NULL PRIMARY KEY,
    user_id        TEXT    NOT NULL,
    title          TEXT    NOT NULL,
    body           TEXT    NOT NULL,
    channels       TEXT    NOT NULL,  -- ["sms", …]
    locale         TEXT    NOT NULL CHECK (locale IN ('fa', 'en')),
    created_at_ms  INTEGER NOT NULL,
    expires_at_ms  INTEGER,
    sender_key_id  TEXT,
    request_digest TEXT    NOT NULL,
    announces      INTEGER NOT NULL CHECK (announces IN (0, 1)),
    merchant_id    TEXT,  -- whose summaries it announces; null: of all merchants together
    status         TEXT    NOT NULL CHECK (status IN ('pending', 'sent', 'failed', 'cancelled'))  -- told by its logs
);

-- For pages of a list: of all notifications, of a user, of a status.
CREATE INDEX notifications_newest ON notifications (created_at_ms, id);
CREATE INDEX notifications_of_user ON notifications (user_id, created_at_ms, id);
CREATE INDEX notifications_of_status ON notifications (status, created_at_ms, id);

-- The delivery events of a channel. Each number exists once: inserting it is the claim.
CREATE TABLE notification_events (
    notification_id TEXT    NOT NULL,
    channel         TEXT    NOT NULL,
    number          INTEGER NOT NULL CHECK (number > 0),
    kind            TEXT    NOT NULL
        CHECK (kind IN ('attempt', 'success', 'failed', 'maybe', 'dead', 'unknown', 'cancel', 'retry')),
    at_ms           INTEGER NOT NULL,
    until_ms        INTEGER,
    error           TEXT,
    reference       TEXT,
    worker          TEXT,
    PRIMARY KEY (notification_id, channel, number)
) WITHOUT ROWID;

-- One row per delivery: a copy of its state after event `number`, written together with that event.
CREATE TABLE notification_logs (
    notification_id    TEXT    NOT NULL,
    channel            TEXT    NOT NULL,
    status             TEXT    NOT NULL
        CHECK (status IN ('pending', 'sending', 'success', 'failed', 'dead', 'unknown', 'cancelled')),
    number             INTEGER NOT NULL,
    attempts           INTEGER NOT NULL,
    last_attempt_at_ms INTEGER,
    error_message      TEXT,
    reference          TEXT,
    finished_at_ms     INTEGER,
    due_at_ms          INTEGER,  -- null unless it is open
    queue_at_ms        INTEGER,  -- from when it is queued: later than it is due when it was queued already
    PRIMARY KEY (notification_id, channel),
    CHECK ((due_at_ms IS NULL) = (status NOT IN ('pending', 'sending', 'failed'))),
    CHECK ((queue_at_ms IS NULL) = (due_at_ms IS NULL))
) WITHOUT ROWID;

-- For finding due deliveries among many finished ones.
CREATE INDEX notification_logs_to_queue ON notification_logs (queue_at_ms) WHERE queue_at_ms IS NOT NULL;
CREATE INDEX notification_logs_due ON notification_logs (due_at_ms) WHERE due_at_ms IS NOT NULL;

-- The number of deliveries by channel and status, maintained by the triggers, because counting them takes long
-- where there are many.
CREATE TABLE notification_counts (
    channel TEXT    NOT NULL,
    status  TEXT    NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (channel, status)
) WITHOUT ROWID;

CREATE TRIGGER notification_logs_inserted AFTER INSERT ON notification_logs BEGIN
    INSERT INTO notification_counts VALUES (new.channel, new.status, 1)
        ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER notification_logs_updated AFTER UPDATE OF status ON notification_logs WHEN old.status <> new.status BEGIN
    UPDATE notification_counts SET count = count - 1 WHERE channel = old.channel AND status = old.status;
    INSERT INTO notification_counts VALUES (new.channel, new.status, 1)
        ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER notification_logs_deleted AFTER DELETE ON notification_logs BEGIN
    UPDATE notification_counts SET count = count - 1 WHERE channel = old.channel AND status = old.status;
END;

-- The addresses of users.
CREATE TABLE contacts (
    user_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (user_id, channel)
) WITHOUT ROWID;

-- Subscriptions of users to summaries. Ending a subscription sets its ended_at_ms.
CREATE TABLE subscriptions (
    id            TEXT    NOT NULL PRIMARY KEY,
    merchant_id   TEXT,  -- null: all merchants together
    user_id       TEXT    NOT NULL,
    modes         TEXT    NOT NULL,  -- ["daily", …]
    channels      TEXT    NOT NULL,  -- ["sms", …]
    locale        TEXT    NOT NULL CHECK (locale IN ('fa', 'en')),
    created_at_ms INTEGER NOT NULL,
    ended_at_ms   INTEGER
);
