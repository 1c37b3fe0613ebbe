-- A proof counts once, wherever and however often its id was recorded: of all rows with one (site, id) the first by
-- (recorded_at, edge, generation, seq) counts. The others stay, each is a leaf of its log; this names them, and
-- everything that counts leaves them out.
CREATE TABLE IF NOT EXISTS consent_repeats
(
    site        LowCardinality(String) CODEC(ZSTD(1)),
    recorded_at DateTime64(3, 'UTC')   CODEC(Delta, ZSTD(1)),
    edge        LowCardinality(String) CODEC(ZSTD(1)),
    generation  UInt32                 CODEC(ZSTD(1)),
    seq         UInt64                 CODEC(Delta, ZSTD(1)),
    id          UUID                   CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (site, recorded_at, edge, generation, seq);

-- The same for displays.
CREATE TABLE IF NOT EXISTS prompt_repeats
(
    site       LowCardinality(String) CODEC(ZSTD(1)),
    shown_at   DateTime64(3, 'UTC')   CODEC(Delta, ZSTD(1)),
    edge       LowCardinality(String) CODEC(ZSTD(1)),
    generation UInt32                 CODEC(ZSTD(1)),
    seq        UInt64                 CODEC(Delta, ZSTD(1)),
    id         UUID                   CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (site, shown_at, edge, generation, seq);

-- Proofs that were recorded at another time than their id carries (said): a browser that was offline, a wrong clock.
-- All others are found by that time in the facts; these, few, are found here.
CREATE TABLE IF NOT EXISTS consent_late
(
    site        LowCardinality(String) CODEC(ZSTD(1)),
    said        DateTime64(3, 'UTC')   CODEC(Delta, ZSTD(1)),
    id          UUID                   CODEC(ZSTD(1)),
    recorded_at DateTime64(3, 'UTC')   CODEC(Delta, ZSTD(1)),
    edge        LowCardinality(String) CODEC(ZSTD(1)),
    generation  UInt32                 CODEC(ZSTD(1)),
    seq         UInt64                 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (site, said, id, recorded_at, edge, generation, seq);

-- Whose logs are here, noted before their first row: a log that is alone has no repeats to look for.
CREATE TABLE IF NOT EXISTS logs
(
    edge       LowCardinality(String),
    generation UInt32
)
ENGINE = ReplacingMergeTree
ORDER BY (edge, generation);
