-- A file of the app's version 2: a table for each collection, metadata for all, and the storage queue.
PRAGMA user_version = 2;
CREATE TABLE campaigns (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, description TEXT, rev INTEGER NOT NULL DEFAULT 0);
CREATE TABLE campaign_local_metas (doc_id TEXT NOT NULL PRIMARY KEY, dirty INTEGER NOT NULL DEFAULT 0, last_synced_at INTEGER);
CREATE TABLE adventures (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, "order" INTEGER NOT NULL, rev INTEGER NOT NULL);
CREATE TABLE chapters (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, rev INTEGER NOT NULL);
CREATE TABLE scenes (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, rev INTEGER NOT NULL);
CREATE TABLE encounters (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, rev INTEGER NOT NULL);
CREATE TABLE entities (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, rev INTEGER NOT NULL);
CREATE TABLE sessions (id TEXT NOT NULL PRIMARY KEY, campaign_id TEXT, notes TEXT);
CREATE TABLE media_assets (id TEXT NOT NULL PRIMARY KEY, filename TEXT NOT NULL, size INTEGER, mime TEXT, rev INTEGER NOT NULL);
CREATE TABLE local_metas (doc_ref TEXT NOT NULL PRIMARY KEY, collection TEXT NOT NULL, doc_id TEXT NOT NULL,
  dirty INTEGER NOT NULL DEFAULT 0, last_synced_at INTEGER, download_status TEXT, local_path TEXT, cache_expiry INTEGER);
CREATE TABLE storage_queue (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, operation TEXT NOT NULL, asset_id TEXT NOT NULL,
  storage_path TEXT NOT NULL, local_path TEXT, mime_type TEXT, file_size INTEGER, priority INTEGER NOT NULL DEFAULT 0,
  progress INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, status TEXT NOT NULL DEFAULT 'pending',
  error TEXT, created_at INTEGER);
INSERT INTO campaigns VALUES ('c', 'The Pass', NULL, 3);
INSERT INTO adventures VALUES ('a', 'Ascent', 2, 4);
INSERT INTO sessions VALUES ('s', 'c', '["one","two"]');
INSERT INTO media_assets VALUES ('m', 'map.png', 1000, 'image/png', 1);
INSERT INTO local_metas VALUES ('campaigns/c', 'campaigns', 'c', 0, 1700000000, NULL, NULL, NULL);
INSERT INTO local_metas VALUES ('adventures/a', 'adventures', 'a', 1, 1700000000, NULL, NULL, NULL);
INSERT INTO local_metas VALUES ('mediaAssets/m', 'mediaAssets', 'm', 0, 1700000000, 'cached', 'media_cache/m.png', 4102444800);
INSERT INTO storage_queue VALUES (1, 'download', 'm', 'media/map.png', NULL, 'image/png', 1000, 10, 100, 1, 'completed', NULL, 1);
INSERT INTO storage_queue VALUES (2, 'download', 'n', 'media/n/n.png', NULL, 'image/png', 2000, 5, 30, 1, 'in_progress', NULL, 2);
INSERT INTO storage_queue VALUES (3, 'upload', 'o', 'media/o/o.png', 'media_cache/o.png', 'image/png', 3000, 5, 0, 4, 'failed', 'denied', 3);
