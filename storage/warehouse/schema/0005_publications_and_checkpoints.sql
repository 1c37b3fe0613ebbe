-- What a site made public besides its wordings: scripts, configurations, pictures. One row each time one became the
-- current one; doc is the configuration, or the hashes of the wordings a script carries.
CREATE TABLE IF NOT EXISTS publications
(
    site         LowCardinality(String),
    kind         LowCardinality(String),
    published_at DateTime64(3, 'UTC'),
    hash         String,
    surface      LowCardinality(String),
    locale       LowCardinality(String),
    about        String CODEC(ZSTD(3)),
    doc          String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
ORDER BY (site, kind, published_at, hash, locale, surface, about);

-- The last signed checkpoint of each log under each of its origins, kept where the edge's disk is not: a log that is
-- shorter or different at the next start has lost entries.
CREATE TABLE IF NOT EXISTS checkpoints
(
    log       LowCardinality(String),
    origin    String,
    size      UInt64,
    note      String,
    sealed_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(sealed_at)
ORDER BY (log, origin);
