-- What a ledger of version 2 has otherwise, of a time when a run was divided into shards: then
-- schema.sql makes the rest. A run that is under way is listed again from its first key.

DROP INDEX IF EXISTS unsent;
DROP INDEX failed;
DROP INDEX IF EXISTS near;
DROP TRIGGER IF EXISTS tally_decision;
ALTER TABLE decision RENAME COLUMN shard TO part;
UPDATE decision SET part = 0 WHERE part > 0;

ALTER TABLE label_tally RENAME TO shard_tally;
CREATE TABLE label_tally (
  run TEXT PRIMARY KEY, decided INTEGER, labelled INTEGER, failed INTEGER, known INTEGER,
  parts INTEGER
) WITHOUT ROWID;
INSERT INTO label_tally
SELECT run, sum(decided), sum(labelled), sum(failed), sum(known), 0 FROM shard_tally GROUP BY run;
DROP TABLE shard_tally;

-- the ends of all shards are the run's
CREATE TABLE sent_end (run TEXT PRIMARY KEY, expected INTEGER) WITHOUT ROWID;
INSERT INTO sent_end SELECT run, sum(expected) FROM ended_shard
GROUP BY run HAVING count(*) = max(shards);
DROP TABLE ended_shard;

ALTER TABLE received_end RENAME TO received_shard_end;
CREATE TABLE received_end (run TEXT PRIMARY KEY, expected INTEGER) WITHOUT ROWID;
INSERT INTO received_end SELECT run, sum(expected) FROM received_shard_end
GROUP BY run HAVING count(*) = max(shards);
DROP TABLE received_shard_end;
