-- The tables of version 1, by which the ledgers that people have were made.

CREATE TABLE IF NOT EXISTS run_shards (run TEXT PRIMARY KEY, shards INTEGER) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS decision (
  run TEXT, shard INTEGER, idx TEXT, etag TEXT, label TEXT, failure TEXT, sent INTEGER,
  PRIMARY KEY (run, idx)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unsent ON decision (run, shard) WHERE label IS NOT NULL AND sent = 0;
CREATE INDEX IF NOT EXISTS failed ON decision (run, shard) WHERE failure IS NOT NULL;

CREATE TABLE IF NOT EXISTS ended_shard (
  run TEXT, shard INTEGER, shards INTEGER, expected INTEGER, PRIMARY KEY (run, shard)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS result (
  run TEXT, idx TEXT, sort_key TEXT, row TEXT, line TEXT, failed INTEGER,
  PRIMARY KEY (run, idx)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS in_order ON result (run, sort_key);

CREATE TABLE IF NOT EXISTS received_end (
  run TEXT, shard INTEGER, shards INTEGER, expected INTEGER, PRIMARY KEY (run, shard)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS foreign_end (run TEXT PRIMARY KEY) WITHOUT ROWID;

-- a row that is not inserted, because it is a duplicate, is not counted either
CREATE TABLE IF NOT EXISTS label_tally (
  run TEXT, shard INTEGER, decided INTEGER, labelled INTEGER, failed INTEGER,
  PRIMARY KEY (run, shard)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS tally_decision AFTER INSERT ON decision BEGIN
  INSERT OR IGNORE INTO label_tally VALUES (NEW.run, NEW.shard, 0, 0, 0);
  UPDATE label_tally SET decided = decided + 1, labelled = labelled + (NEW.label IS NOT NULL),
    failed = failed + (NEW.failure IS NOT NULL) WHERE run = NEW.run AND shard = NEW.shard;
END;

-- asked for by hand: filed with a mark before the index, and counted once more here
CREATE TABLE IF NOT EXISTS by_hand_tally (run TEXT PRIMARY KEY, by_hand INTEGER) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS tally_by_hand AFTER INSERT ON result WHEN unicode(NEW.idx) = 1 BEGIN
  INSERT OR IGNORE INTO by_hand_tally VALUES (NEW.run, 0);
  UPDATE by_hand_tally SET by_hand = by_hand + 1 WHERE run = NEW.run;
END;

CREATE TABLE IF NOT EXISTS text_tally (
  run TEXT PRIMARY KEY, done INTEGER, with_text INTEGER, failed INTEGER
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS tally_result AFTER INSERT ON result BEGIN
  INSERT OR IGNORE INTO text_tally VALUES (NEW.run, 0, 0, 0);
  UPDATE text_tally SET done = done + 1, with_text = with_text + (NEW.line IS NOT NULL),
    failed = failed + NEW.failed WHERE run = NEW.run;
END;
