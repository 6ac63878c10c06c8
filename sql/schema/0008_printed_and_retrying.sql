-- A delivery that failed and will be retried is `retrying`: `failed` was also the status of a
-- notification that was given up. A message that the sender `print` only logged is `printed`. An attempt records its sender. SQLite
-- cannot alter a CHECK, so the tables are rebuilt with their rows.
CREATE TABLE notifications_0008 (
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
    status         TEXT    NOT NULL  -- follows from its logs
        CHECK (status IN ('pending', 'sent', 'printed', 'failed', 'cancelled'))
);

INSERT INTO notifications_0008 (
    id, user_id, title, body, channels, locale, created_at_ms, expires_at_ms, sender_key_id, request_digest, announces,
    merchant_id, status
)
SELECT
    id, user_id, title, body, channels, locale, created_at_ms, expires_at_ms, sender_key_id, request_digest, announces,
    merchant_id, status
FROM notifications;

DROP TABLE notifications;
ALTER TABLE notifications_0008 RENAME TO notifications;
CREATE INDEX notifications_newest ON notifications (created_at_ms, id);
CREATE INDEX notifications_of_user ON notifications (user_id, created_at_ms, id);
CREATE INDEX notifications_of_status ON notifications (status, created_at_ms, id);

CREATE TABLE notification_events_0008 (
    notification_id TEXT    NOT NULL,
    channel         TEXT    NOT NULL,
    number          INTEGER NOT NULL CHECK (number > 0),
    kind            TEXT    NOT NULL
        CHECK (kind IN ('attempt', 'success', 'printed', 'failed', 'maybe', 'dead', 'unknown', 'cancel', 'retry')),
    at_ms           INTEGER NOT NULL,
    until_ms        INTEGER,
    error           TEXT,
    reference       TEXT,
    worker          TEXT,
    sender          TEXT,  -- of an attempt, as NOTIFY_SENDERS calls it; null: made before this was kept
    PRIMARY KEY (notification_id, channel, number)
) WITHOUT ROWID;

INSERT INTO notification_events_0008 (
    notification_id, channel, number, kind, at_ms, until_ms, error, reference, worker
)
SELECT notification_id, channel, number, kind, at_ms, until_ms, error, reference, worker FROM notification_events;

DROP TABLE notification_events;
ALTER TABLE notification_events_0008 RENAME TO notification_events;

CREATE TABLE notification_logs_0008 (
    notification_id    TEXT    NOT NULL,
    channel            TEXT    NOT NULL,
    status             TEXT    NOT NULL CHECK (
        status IN ('pending', 'sending', 'success', 'printed', 'retrying', 'dead', 'unknown', 'cancelled')
    ),
    number             INTEGER NOT NULL,
    attempts           INTEGER NOT NULL,
    last_attempt_at_ms INTEGER,
    error_message      TEXT,
    reference          TEXT,
    finished_at_ms     INTEGER,
    due_at_ms          INTEGER,  -- null unless it is open
    queue_at_ms        INTEGER,  -- from when it is queued: later than it is due when it was queued already
    PRIMARY KEY (notification_id, channel),
    CHECK ((due_at_ms IS NULL) = (status NOT IN ('pending', 'sending', 'retrying'))),
    CHECK ((queue_at_ms IS NULL) = (due_at_ms IS NULL))
) WITHOUT ROWID;

INSERT INTO notification_logs_0008 (
    notification_id, channel, status, number, attempts, last_attempt_at_ms, error_message, reference, finished_at_ms,
    due_at_ms, queue_at_ms
)
SELECT
    notification_id, channel, iif(status = 'failed', 'retrying', status), number, attempts, last_attempt_at_ms,
    error_message, reference, finished_at_ms, due_at_ms, queue_at_ms
FROM notification_logs;

DROP TABLE notification_logs;
ALTER TABLE notification_logs_0008 RENAME TO notification_logs;
CREATE INDEX notification_logs_to_queue ON notification_logs (queue_at_ms) WHERE queue_at_ms IS NOT NULL;
CREATE INDEX notification_logs_due ON notification_logs (due_at_ms) WHERE due_at_ms IS NOT NULL;

UPDATE notification_counts SET status = 'retrying' WHERE status = 'failed';

-- The triggers were dropped with the table.
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
