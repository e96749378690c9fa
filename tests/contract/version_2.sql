-- The tables of version 2, of a time when a run was divided into shards.

-- for good and for all runs: what was paid for
CREATE TABLE IF NOT EXISTS answer (
  etag TEXT, size INTEGER, kind TEXT, floor REAL, packed BLOB, PRIMARY KEY (etag, size, kind)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS settled (
  run TEXT, name TEXT, value TEXT, PRIMARY KEY (run, name)
) WITHOUT ROWID;

-- `labels` is a JSON list, `near` a label; NULL where there is none
CREATE TABLE IF NOT EXISTS decision (
  run TEXT, shard INTEGER, idx TEXT, etag TEXT, size INTEGER, labels TEXT, failure TEXT,
  known INTEGER, near TEXT, sent INTEGER, PRIMARY KEY (run, idx)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unsent ON decision (run, shard) WHERE labels IS NOT NULL AND sent = 0;
CREATE INDEX IF NOT EXISTS failed ON decision (run, shard) WHERE failure IS NOT NULL;
CREATE INDEX IF NOT EXISTS near ON decision (run, shard) WHERE near IS NOT NULL;

CREATE TABLE IF NOT EXISTS ended_shard (
  run TEXT, shard INTEGER, shards INTEGER, expected INTEGER, PRIMARY KEY (run, shard)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS result (
  run TEXT, idx TEXT, sort_key TEXT, row TEXT, line TEXT, failed INTEGER, known INTEGER,
  PRIMARY KEY (run, idx)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS in_order ON result (run, sort_key);

CREATE TABLE IF NOT EXISTS received_end (
  run TEXT, shard INTEGER, shards INTEGER, expected INTEGER, PRIMARY KEY (run, shard)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS foreign_end (run TEXT PRIMARY KEY) WITHOUT ROWID;

-- a row that is not inserted, because it is a duplicate, is not counted either
CREATE TABLE IF NOT EXISTS label_tally (
  run TEXT, shard INTEGER, decided INTEGER, labelled INTEGER, failed INTEGER, known INTEGER,
  PRIMARY KEY (run, shard)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS tally_decision AFTER INSERT ON decision BEGIN
  INSERT OR IGNORE INTO label_tally VALUES (NEW.run, NEW.shard, 0, 0, 0, 0);
  UPDATE label_tally SET decided = decided + 1, labelled = labelled + (NEW.labels IS NOT NULL),
    failed = failed + (NEW.failure IS NOT NULL), known = known + NEW.known
  WHERE run = NEW.run AND shard = NEW.shard;
END;

-- asked for by hand: filed with a mark before the index, and counted once more here
CREATE TABLE IF NOT EXISTS by_hand_tally (run TEXT PRIMARY KEY, by_hand INTEGER) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS tally_by_hand AFTER INSERT ON result WHEN unicode(NEW.idx) = 1 BEGIN
  INSERT OR IGNORE INTO by_hand_tally VALUES (NEW.run, 0);
  UPDATE by_hand_tally SET by_hand = by_hand + 1 WHERE run = NEW.run;
END;

CREATE TABLE IF NOT EXISTS text_tally (
  run TEXT PRIMARY KEY, done INTEGER, with_text INTEGER, failed INTEGER, known INTEGER
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS tally_result AFTER INSERT ON result BEGIN
  INSERT OR IGNORE INTO text_tally VALUES (NEW.run, 0, 0, 0, 0);
  UPDATE text_tally SET done = done + 1, with_text = with_text + (NEW.line IS NOT NULL),
    failed = failed + NEW.failed, known = known + NEW.known WHERE run = NEW.run;
END;
