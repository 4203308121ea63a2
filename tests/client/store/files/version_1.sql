-- A file of the app's version 1: campaigns alone, with their sync state beside them.
PRAGMA user_version = 1;
CREATE TABLE campaigns (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, description TEXT, owner_id TEXT,
  settings TEXT, player_count INTEGER, rev INTEGER NOT NULL DEFAULT 0);
CREATE TABLE campaign_local_metas (doc_id TEXT NOT NULL PRIMARY KEY, dirty INTEGER NOT NULL DEFAULT 0, last_synced_at INTEGER);
INSERT INTO campaigns VALUES ('clean', 'The Pass', 'Snow.', 'alice', '{"level":3,"tags":["a","b"]}', 4, 7);
INSERT INTO campaigns VALUES ('edited', 'The Gate', NULL, 'alice', NULL, 2, 5);
INSERT INTO campaigns VALUES ('new', 'The Well', NULL, 'alice', NULL, 0, 0);
INSERT INTO campaign_local_metas VALUES ('clean', 0, 1700000000);
INSERT INTO campaign_local_metas VALUES ('edited', 1, 1700000001);
INSERT INTO campaign_local_metas VALUES ('new', 1, NULL);
