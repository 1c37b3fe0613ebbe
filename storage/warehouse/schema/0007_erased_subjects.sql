-- Who was erased, so that a restored backup can be rid of them again: a keyed fingerprint, which only whoever holds the
-- site's secret and the subject key can tell (storage/backup, Fingerprint), and until when what was recorded is to go.
CREATE TABLE IF NOT EXISTS erased_subjects
(
    site      LowCardinality(String),
    who       String,
    erased_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (site, who, erased_at);
