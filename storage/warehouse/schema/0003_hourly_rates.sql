-- Hourly roll-ups that absorb duplicates: each row holds the set of seqs it counts, as a bitmap, so that a
-- row that arrives twice, in whatever batch, is counted once. An edge records fewer than 2^32 rows an
-- hour, so the low half of seq tells them apart and the bitmap takes half the room.
CREATE TABLE IF NOT EXISTS rates_hourly
(
    site      LowCardinality(String),
    hour      DateTime('UTC') CODEC(Delta, ZSTD(1)),
    edge      LowCardinality(String),
    surface   LowCardinality(String),
    locale    LowCardinality(String),
    wording   LowCardinality(String),
    method    LowCardinality(String),
    country   LowCardinality(String),
    device    LowCardinality(String),
    decisions LowCardinality(String),
    seqs      AggregateFunction(groupBitmap, UInt32) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (site, hour, edge, surface, locale, wording, method, country, device, decisions);

CREATE MATERIALIZED VIEW IF NOT EXISTS rates_hourly_feed TO rates_hourly AS
SELECT site, toStartOfHour(recorded_at) AS hour, edge, surface, locale, wording, method, country, device, decisions,
    groupBitmapState(toUInt32(bitAnd(seq, 0xFFFFFFFF))) AS seqs
FROM consent_facts
GROUP BY site, hour, edge, surface, locale, wording, method, country, device, decisions;

CREATE TABLE IF NOT EXISTS prompts_hourly
(
    site    LowCardinality(String),
    hour    DateTime('UTC') CODEC(Delta, ZSTD(1)),
    edge    LowCardinality(String),
    surface LowCardinality(String),
    locale  LowCardinality(String),
    wording LowCardinality(String),
    country LowCardinality(String),
    device  LowCardinality(String),
    seqs    AggregateFunction(groupBitmap, UInt32) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (site, hour, edge, surface, locale, wording, country, device);

CREATE MATERIALIZED VIEW IF NOT EXISTS prompts_hourly_feed TO prompts_hourly AS
SELECT site, toStartOfHour(shown_at) AS hour, edge, surface, locale, wording, country, device,
    groupBitmapState(toUInt32(bitAnd(seq, 0xFFFFFFFF))) AS seqs
FROM prompts
GROUP BY site, hour, edge, surface, locale, wording, country, device;
