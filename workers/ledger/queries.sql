-- Each statement stands under the name by which sqlite.py calls it.

-- keep --
-- Keep an answer, unless there is one that was asked for with as low a floor
INSERT INTO answer (etag, size, kind, floor, packed) VALUES (:etag, :size, :kind, :floor, :packed)
ON CONFLICT DO UPDATE SET floor = excluded.floor, packed = excluded.packed
WHERE excluded.floor < floor;

-- answers --
-- Those of a kind about pictures, a JSON list of ETag and size
SELECT etag, size, packed FROM json_each(:pictures) AS asked CROSS JOIN answer
ON etag = json_extract(asked.value, '$[0]') AND size = json_extract(asked.value, '$[1]') AND kind = :kind;

-- all_answers --
-- Every answer
SELECT kind, etag, size, packed FROM answer;

-- settle --
-- Keep what a run is begun with, unless that is settled
INSERT OR IGNORE INTO settled VALUES (:run, :name, :value);

-- settled --
-- What a run was begun with
SELECT name, value FROM settled WHERE run = :run;

-- decided --
-- Those of the indexes, a JSON list, that are decided
SELECT idx FROM decision WHERE run = :run AND idx IN (SELECT value FROM json_each(:indexes));

-- decide --
-- Keep a decision, unless there is one about the image
INSERT OR IGNORE INTO decision (run, shard, idx, etag, size, labels, failure, known, near, sent)
VALUES (:run, :shard, :index, :etag, :size, :labels, :failure, :known, :near, 0);

-- sent --
-- Keep that SQS has the index
UPDATE decision SET sent = 1 WHERE run = :run AND idx = :index;

-- unsent --
-- A shard's decisions with a label of which it is not known that SQS has them
SELECT idx, etag, size, labels, failure, known, near FROM decision
WHERE run = :run AND shard = :shard AND labels IS NOT NULL AND sent = 0;

-- labelled --
-- A shard's decisions with a label
SELECT idx, etag, size, labels, failure, known, near FROM decision
WHERE run = :run AND shard = :shard AND labels IS NOT NULL;

-- failures --
-- A shard's decisions about images that can never be looked at
SELECT idx, etag, size, labels, failure, known, near FROM decision
WHERE run = :run AND shard = :shard AND failure IS NOT NULL ORDER BY idx;

-- near --
-- A shard's decisions about images that have a label, but not surely enough
SELECT idx, etag, size, labels, failure, known, near FROM decision
WHERE run = :run AND shard = :shard AND near IS NOT NULL ORDER BY idx;

-- label_counts --
-- How many images of a shard are decided, and how
SELECT decided, labelled, failed, known FROM label_tally WHERE run = :run AND shard = :shard;

-- end_shard --
-- Keep that a shard is done and its end is sent
INSERT OR REPLACE INTO ended_shard VALUES (:run, :shard, :shards, :expected);

-- shard_ended --
-- The end that a shard has sent
SELECT run, shard, shards, expected FROM ended_shard WHERE run = :run AND shard = :shard;

-- done --
-- Those of the indexes, a JSON list, that have a result
SELECT idx FROM result WHERE run = :run AND idx IN (SELECT value FROM json_each(:indexes));

-- complete --
-- Keep a result, unless there is one of the image
INSERT OR IGNORE INTO result (run, idx, sort_key, row, line, failed, known)
VALUES (:run, :index, :sort_key, :row, :line, :failed, :known);

-- record_end --
-- Keep a shard's end that has come, in the place of an earlier one
INSERT OR REPLACE INTO received_end VALUES (:run, :shard, :shards, :expected);

-- record_foreign_end --
-- Keep that an end mark without counts has come
INSERT OR IGNORE INTO foreign_end VALUES (:run);

-- progress --
-- What is done of a run, beside each end that has come; one row without an end where none has
SELECT coalesce(done, 0), coalesce(with_text, 0), coalesce(failed, 0),
  EXISTS (SELECT 1 FROM foreign_end WHERE foreign_end.run = asked.run), coalesce(by_hand, 0),
  coalesce(known, 0), shard, shards, expected
FROM (SELECT :run AS run) AS asked
LEFT JOIN text_tally USING (run) LEFT JOIN by_hand_tally USING (run)
LEFT JOIN received_end USING (run);

-- results --
-- The rows and lines of a run in natural order; one that was asked for by hand, too, is there once
SELECT row, line FROM result AS r WHERE run = :run AND NOT (unicode(idx) = 1 AND EXISTS
  (SELECT 1 FROM result WHERE run = :run AND char(1) || idx = r.idx))
ORDER BY sort_key, idx;
