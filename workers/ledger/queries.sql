-- Each statement stands under the name by which sqlite.py calls it. INDEXED BY stands where SQLite
-- would go through all decisions of a run to find a few.

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

-- listed --
-- How far a run's listing has come
SELECT parts, images, reached, whole, "of" FROM listed WHERE run = :run;

-- keep_listed --
-- Keep how far a run's listing has come
INSERT OR REPLACE INTO listed VALUES (:run, :parts, :images, :reached, :whole, :of);

-- list_part --
-- Keep a part of the listing
INSERT OR REPLACE INTO part VALUES (:run, :number, :after, :upto, :images);

-- open_parts --
-- The parts of a run that are not done
SELECT number, after, upto, images FROM part WHERE run = :run ORDER BY number;

-- end_part --
-- Keep that a part is done
DELETE FROM part WHERE run = :run AND number = :number;

-- decided --
-- Those of the indexes, a JSON list, that are decided
SELECT idx FROM decision WHERE run = :run AND idx IN (SELECT value FROM json_each(:indexes));

-- decide --
-- Keep a decision, unless there is one about the image
INSERT OR IGNORE INTO decision (run, part, idx, etag, size, labels, failure, known, near, sent)
VALUES (:run, :part, :index, :etag, :size, :labels, :failure, :known, :near, 0);

-- sent --
-- Keep that SQS has the index
UPDATE decision SET sent = 1 WHERE run = :run AND idx = :index;

-- unsent --
-- A part's decisions with a label of which it is not known that SQS has them
SELECT part, idx, etag, size, labels, failure, known, near FROM decision INDEXED BY unsent
WHERE run = :run AND part = :part AND labels IS NOT NULL AND sent = 0;

-- labelled --
-- A run's decisions with a label
SELECT part, idx, etag, size, labels, failure, known, near FROM decision WHERE run = :run AND labels IS NOT NULL;

-- failures --
-- A run's decisions about images that can never be looked at
SELECT part, idx, etag, size, labels, failure, known, near FROM decision INDEXED BY failed
WHERE run = :run AND failure IS NOT NULL ORDER BY idx;

-- near --
-- A run's decisions about images that have a label, but not surely enough
SELECT part, idx, etag, size, labels, failure, known, near FROM decision INDEXED BY near
WHERE run = :run AND near IS NOT NULL ORDER BY idx;

-- label_counts --
-- How many images of a run are decided, and how, and how many of its parts
SELECT decided, labelled, failed, known, parts FROM label_tally WHERE run = :run;

-- end_run --
-- Keep that a run is done and its end is sent
INSERT OR REPLACE INTO sent_end VALUES (:run, :expected);

-- run_end --
-- The end that was sent
SELECT expected FROM sent_end WHERE run = :run;

-- done --
-- Those of the indexes, a JSON list, that have a result
SELECT idx FROM result WHERE run = :run AND idx IN (SELECT value FROM json_each(:indexes));

-- complete --
-- Keep a result, unless there is one of the image
INSERT OR IGNORE INTO result (run, idx, sort_key, row, line, failed, known)
VALUES (:run, :index, :sort_key, :row, :line, :failed, :known);

-- record_end --
-- Keep the run's end that has come, in the place of an earlier one
INSERT OR REPLACE INTO received_end VALUES (:run, :expected);

-- record_foreign_end --
-- Keep that an end mark without counts has come
INSERT OR IGNORE INTO foreign_end VALUES (:run);

-- progress --
-- What is done of a run, and the end that has come
SELECT coalesce(done, 0), coalesce(with_text, 0), coalesce(failed, 0), expected,
  EXISTS (SELECT 1 FROM foreign_end WHERE foreign_end.run = asked.run), coalesce(by_hand, 0),
  coalesce(known, 0)
FROM (SELECT :run AS run) AS asked
LEFT JOIN text_tally USING (run) LEFT JOIN by_hand_tally USING (run)
LEFT JOIN received_end USING (run);

-- results --
-- The rows and lines of a run in natural order; one that was asked for by hand, too, is there once
SELECT row, line FROM result AS r WHERE run = :run AND NOT (unicode(idx) = 1 AND EXISTS
  (SELECT 1 FROM result WHERE run = :run AND idx = substr(r.idx, 2)))
ORDER BY sort_key, idx;

-- runs --
-- The runs that anything is kept of
SELECT run FROM settled UNION SELECT run FROM label_tally UNION SELECT run FROM text_tally ORDER BY run;

-- tables_of_runs --
-- Where anything of a run stands; a tally last, for what is deleted elsewhere may be counted there
SELECT name FROM sqlite_master WHERE type = 'table'
AND EXISTS (SELECT 1 FROM pragma_table_info(sqlite_master.name) AS field WHERE field.name = 'run')
ORDER BY name LIKE '%tally', name;
