-- What a ledger of version 1 lacks: then schema.sql makes the rest.

CREATE TABLE settled (run TEXT, name TEXT, value TEXT, PRIMARY KEY (run, name)) WITHOUT ROWID;
INSERT INTO settled SELECT run, 'shards', shards FROM run_shards;
DROP TABLE run_shards;

DROP TRIGGER tally_decision;
DROP INDEX unsent;
ALTER TABLE decision RENAME COLUMN label TO labels;
ALTER TABLE decision ADD COLUMN size INTEGER DEFAULT 0;
ALTER TABLE decision ADD COLUMN known INTEGER DEFAULT 0;
ALTER TABLE decision ADD COLUMN near TEXT;
UPDATE decision SET labels = '[' || labels || ']' WHERE labels IS NOT NULL;
ALTER TABLE label_tally ADD COLUMN known INTEGER DEFAULT 0;

DROP TRIGGER tally_result;
ALTER TABLE result ADD COLUMN known INTEGER DEFAULT 0;
ALTER TABLE text_tally ADD COLUMN known INTEGER DEFAULT 0;
