BEGIN TRANSACTION;
CREATE TABLE documents (
      collection TEXT NOT NULL,
      id TEXT NOT NULL,
      base BLOB,
      base_rev INTEGER,
      base_update_time TEXT NOT NULL DEFAULT '',
      local BLOB,
      local_is TEXT NOT NULL CHECK (local_is IN ('base', 'value', 'absent')),
      marks TEXT NOT NULL DEFAULT '{}',
      is_stale INTEGER NOT NULL DEFAULT 0,
      change INTEGER NOT NULL,
      UNIQUE (collection, id)
    );
INSERT INTO "documents" VALUES('scenes','edited','{"id":"edited","n":1,"name":"there"}',3,'','{"id":"edited","n":2,"name":"here"}','value','{}',0,2);
INSERT INTO "documents" VALUES('scenes','gone','{"id":"gone"}',1,'',NULL,'absent','{}',0,4);
CREATE TABLE kept (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      kind TEXT NOT NULL CHECK (kind IN ('field', 'edited_here', 'deleted_here', 'refused')),
      collection TEXT NOT NULL,
      doc_id TEXT NOT NULL,
      content BLOB NOT NULL,
      created REAL NOT NULL
    );
CREATE TABLE local_metas (
      doc_ref TEXT PRIMARY KEY,
      collection TEXT NOT NULL,
      doc_id TEXT NOT NULL,
      dirty INTEGER NOT NULL DEFAULT 0,
      last_synced_at REAL,
      download_status TEXT CHECK (download_status IN ('pending', 'downloading', 'cached', 'failed')),
      local_path TEXT,
      cache_expiry REAL
    ) WITHOUT ROWID;
INSERT INTO "local_metas" VALUES('scenes/edited','scenes','edited',1,NULL,NULL,NULL,NULL);
INSERT INTO "local_metas" VALUES('scenes/gone','scenes','gone',1,NULL,NULL,NULL,NULL);
CREATE TABLE mutations (
      collection TEXT NOT NULL,
      id TEXT NOT NULL,
      mutation TEXT NOT NULL,
      kind TEXT NOT NULL CHECK (kind IN ('create', 'update', 'delete')),
      value BLOB NOT NULL,
      mask BLOB NOT NULL,
      rev INTEGER,
      base_update_time TEXT NOT NULL,
      last_seq INTEGER NOT NULL,
      PRIMARY KEY (collection, id)
    ) WITHOUT ROWID;
CREATE TABLE opened (collection TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (collection, id)) WITHOUT ROWID;
CREATE TABLE operations (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      collection TEXT NOT NULL,
      id TEXT NOT NULL,
      kind TEXT NOT NULL CHECK (kind IN ('patch', 'delete')),
      ops BLOB NOT NULL,
      mutation TEXT NOT NULL,
      created REAL NOT NULL
    );
INSERT INTO "operations" VALUES(1,'scenes','edited','patch','[{"op":"set","path":"name","value":"here"},{"op":"increment","path":"n","value":1}]','3899c3ac7dcf7981',1.79604794183447957038e+09);
INSERT INTO "operations" VALUES(2,'scenes','gone','delete','[]','5428aa27b8f343d4',1.79604794185031199455e+09);
CREATE TABLE pulls (target TEXT PRIMARY KEY, resume_token BLOB, cursor TEXT, pulled REAL) WITHOUT ROWID;
CREATE TABLE queue (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      kind TEXT NOT NULL,
      key TEXT NOT NULL,
      payload BLOB NOT NULL,
      priority INTEGER NOT NULL,
      status TEXT NOT NULL CHECK (status IN ('pending', 'in_progress', 'completed', 'failed')),
      ready INTEGER NOT NULL,
      attempts INTEGER NOT NULL DEFAULT 0,
      waits INTEGER NOT NULL DEFAULT 0,
      due REAL NOT NULL DEFAULT 0,
      progress INTEGER NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
      reason TEXT NOT NULL DEFAULT '',
      idempotency_key TEXT NOT NULL UNIQUE,
      owner TEXT NOT NULL DEFAULT '',
      keep INTEGER NOT NULL DEFAULT 0,
      created REAL NOT NULL
    );
INSERT INTO "queue" VALUES(1,'push','scenes/edited','null',0,'pending',1,0,0,0.0,0,'','3751f862a7db55e295a3925281f03416','',0,1.79604794183456563947e+09);
INSERT INTO "queue" VALUES(2,'push','scenes/gone','null',0,'pending',1,0,0,0.0,0,'','d2f6645689b150733cf8795fdc5848f1','',0,1.79604794185036158562e+09);
INSERT INTO "queue" VALUES(3,'download','download:m','null',5,'pending',1,0,0,0.0,0,'','f2f92f4097cce3909a0258d48a842841','',1,1796047941.85422);
INSERT INTO "queue" VALUES(4,'download','download:alice:m:media/m/map.png','null',5,'pending',1,0,0,0.0,0,'','fff964aef07b5b24ab8e56e397c3a885','',1,1.79606701450811529156e+09);
CREATE TABLE schema_versions (part TEXT PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO "schema_versions" VALUES('queue',1);
INSERT INTO "schema_versions" VALUES('store',4);
CREATE TABLE settings (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO "settings" VALUES('is_sealed',0);
INSERT INTO "settings" VALUES('replica','bd22476a7671');
CREATE TABLE transfers (
      entry_id INTEGER PRIMARY KEY REFERENCES queue (id) ON DELETE CASCADE,
      operation TEXT NOT NULL CHECK (operation IN ('download', 'upload')),
      asset_id TEXT NOT NULL,
      storage_path TEXT NOT NULL,
      local_path TEXT NOT NULL,
      mime_type TEXT NOT NULL,
      file_size INTEGER
    , user_id TEXT NOT NULL DEFAULT '');
INSERT INTO "transfers" VALUES(3,'download','m','media/m/m.png','','',NULL,'');
INSERT INTO "transfers" VALUES(4,'download','m','media/m/map.png','','',NULL,'alice');
CREATE INDEX queue_of_key ON queue (key, id) WHERE status != 'completed';
CREATE INDEX queue_ready ON queue (priority DESC, id) WHERE ready = 1 AND status = 'pending';
CREATE INDEX queue_running ON queue (owner) WHERE status = 'in_progress';
CREATE INDEX documents_by_change ON documents (change);
CREATE INDEX operations_of_document ON operations (collection, id, seq);
CREATE INDEX kept_of_document ON kept (collection, doc_id);
CREATE INDEX local_metas_dirty ON local_metas (doc_ref) WHERE dirty = 1;
CREATE INDEX local_metas_expiry ON local_metas (cache_expiry) WHERE cache_expiry IS NOT NULL;
CREATE INDEX transfers_of_asset ON transfers (asset_id);
CREATE VIEW storage_queue AS SELECT queue.id, operation, asset_id, storage_path, local_path,
  mime_type, file_size, priority, progress, attempts, status, reason AS error, created AS created_at, user_id
  FROM transfers JOIN queue ON queue.id = transfers.entry_id;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('operations',2);
INSERT INTO "sqlite_sequence" VALUES('queue',4);
COMMIT;
